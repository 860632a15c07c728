// Bundles the executable: bin/vdpa.js with what every command needs, bin/chunks/ with what is loaded on use.
//
// It is CommonJS, because Node starts a CommonJS program several milliseconds sooner than an ES module. esbuild splits
// only ES modules, so the parts are split first and then turned into CommonJS one by one.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, transform } from 'esbuild';

/** The programs: the command line, and what it starts beside itself. */
const entryPoints = { vdpa: 'src/cli/main.ts' };

/** What CommonJS has in place of import.meta. */
const importMeta = {
  'import.meta.url': 'bundledModuleUrl',
  'import.meta.dirname': '__dirname',
  'import.meta.filename': '__filename',
};
const declareModuleUrl = "const bundledModuleUrl = require('node:url').pathToFileURL(__filename).href;\n";

/**
 * Writes the bundle into `bin/` below `root`.
 * @param {string} root
 * @param {import('esbuild').BuildOptions} common
 */
export async function bundle(root, common) {
  const folder = join(root, 'bin');
  const { outputFiles } = await build({
    ...common,
    entryPoints,
    outdir: folder,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    minifySyntax: true,
    write: false,
    external: ['koffi', 'node-netlink'],
    // The commands are oclif commands for whoever loads them with oclif; the executable needs only their shape.
    alias: { '@oclif/core/command': './src/cli/bare-command.ts' },
    define: { ...common.define, ...importMeta },
  });
  const stale = new Set(existsSync(folder) ? readdirSync(folder, { recursive: true }) : []);
  mkdirSync(join(folder, 'chunks'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  for (const { path, text } of outputFiles) {
    const { code } = await transform(text, {
      format: 'cjs',
      platform: 'node',
      target: common.target,
      minifyWhitespace: true,
      // import() would start Node's loader of ES modules.
      supported: { 'dynamic-import': false },
    });
    stale.delete(relative(folder, path));
    const isProgram = relative(folder, path) === 'vdpa.js';
    const lead =
      (isProgram ? '#!/usr/bin/env node\n' : '') + (code.includes('bundledModuleUrl') ? declareModuleUrl : '');
    writeFileSync(path, lead + code);
  }
  chmodSync(join(folder, 'vdpa.js'), 0o755);
  for (const name of stale) if (name.endsWith('.js')) rmSync(join(folder, name));
}
