// Bundles the executable: bin/vdpa.js with what most commands need, and beside it files that are loaded on use.
//
// Node spends about 0.3 ms on each file that it loads and 0.02 ms on each kilobyte in it. esbuild splits a program at
// every import(), and what two parts share becomes a part of its own: dozens of files where there are many commands. So
// the program is split first, and then the parts that are needed together are joined into one file: a unit.
//
// The files are CommonJS, because Node starts a CommonJS program several milliseconds sooner than an ES module; esbuild
// splits only ES modules, which the joining turns into CommonJS.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

/** The program's first file. */
const program = 'vdpa.js';

/**
 * The units: files of bin/, each with the modules that it is made for and all that these import, but for what an earlier
 * unit has. Every part that is in no unit becomes a file of bin/chunks/.
 */
const units = {
  [program]: [
    'src/cli/main.ts',
    'src/commands/mgmtdev/show.ts',
    'src/commands/dev/show.ts',
    'src/commands/dev/add.ts',
    'src/commands/dev/del.ts',
    'src/commands/dev/set.ts',
    'src/commands/dev/config/show.ts',
    'src/commands/dev/vstats/show.ts',
  ],
  'socket.js': ['src/netlink/bindings/index.ts', 'src/netlink/bindings/koffi.ts'],
};

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
  const parts = await split(common);
  const stale = new Set(existsSync(folder) ? readdirSync(folder, { recursive: true }) : []);
  mkdirSync(join(folder, 'chunks'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  for (const file of new Set([...parts.values()].map((part) => part.file))) {
    const code = await joinParts(file, parts, common);
    const lead =
      (file === program ? '#!/usr/bin/env node\n' : '') + (code.includes('bundledModuleUrl') ? declareModuleUrl : '');
    writeFileSync(join(folder, file), lead + code);
    stale.delete(file);
  }
  chmodSync(join(folder, program), 0o755);
  for (const name of stale) if (name.endsWith('.js')) rmSync(join(folder, name));
}

/**
 * Splits the program at every import().
 * @typedef {{ code: string, source: string | undefined, uses: string[], imports: string[], file: string }} Part
 *   the module that it was split off for, the parts that it uses, those of them that it imports at its start, and the file
 *   of bin/ that it goes to
 * @returns {Promise<Map<string, Part>>} the parts by name
 */
async function split(common) {
  const { outputFiles, metafile } = await build({
    ...common,
    entryPoints: { main: units[program][0] },
    outdir: 'bin',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minifySyntax: true,
    write: false,
    metafile: true,
    external: ['koffi', 'node-netlink'],
    // The commands are oclif commands for whoever loads them with oclif; the executable needs only their shape.
    alias: { '@oclif/core/command': './src/cli/bare-command.ts' },
    define: { ...common.define, ...importMeta },
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const parts = new Map(
    Object.entries(metafile.outputs).map(([path, { entryPoint, imports }]) => {
      const inside = imports.filter(({ external }) => !external);
      const statements = inside.filter(({ kind }) => kind === 'import-statement');
      const names = (imported) => imported.map((found) => basename(found.path));
      const name = basename(path);
      return [name, { code: texts.get(name), source: entryPoint, uses: names(inside), imports: names(statements) }];
    }),
  );
  const assign = (name, file) => {
    const part = parts.get(name);
    if (part.file !== undefined) return;
    part.file = file;
    for (const imported of part.imports) assign(imported, file);
  };
  for (const [file, sources] of Object.entries(units)) {
    for (const source of sources) {
      const [name] = [...parts].find(([, part]) => part.source === source) ?? [];
      if (name === undefined) throw new Error(`${source} is to be in bin/${file}, but the program does not load it`);
      assign(name, file);
    }
  }
  for (const [name, part] of parts) part.file ??= join('chunks', name);
  return parts;
}

/**
 * Makes one file of all its parts. It exports the parts that other files use, each as an object.
 * @param {string} file
 * @param {Map<string, Part>} parts
 */
async function joinParts(file, parts, common) {
  const wanted = new Set([...parts.values()].filter((part) => part.file !== file).flatMap(({ uses }) => uses));
  const lines = [...wanted]
    .filter((name) => parts.get(name).file === file)
    .map((name) => `export * as ${exportName(name)} from './${name}';`);
  if (file === program) lines.push("import './main.js';");
  const { outputFiles } = await build({
    ...common,
    stdin: { contents: lines.join('\n') },
    bundle: true,
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    write: false,
    external: ['koffi', 'node-netlink'],
    // import() would start Node's loader of ES modules.
    supported: { 'dynamic-import': false },
    plugins: [partsPlugin(file, parts)],
  });
  return outputFiles[0].text;
}

/** Finds parts: in this file, or behind a require() of the file that has them. */
function partsPlugin(file, parts) {
  return {
    name: 'parts',
    setup(builder) {
      builder.onResolve({ filter: /^\.\// }, ({ path }) => ({ path: basename(path), namespace: 'part' }));
      builder.onLoad({ filter: /./, namespace: 'part' }, ({ path }) => {
        const part = parts.get(path);
        if (part.file === file) return { contents: part.code };
        const other = relative(dirname(file), part.file);
        const exported = `require('file:${other}').${exportName(path)}`;
        return { contents: `module.exports = Object.defineProperty(${exported}, '__esModule', { value: true })` };
      });
      builder.onResolve({ filter: /^file:/ }, ({ path }) => {
        const other = path.slice('file:'.length);
        return { path: other.startsWith('.') ? other : `./${other}`, external: true };
      });
    },
  };
}

function exportName(part) {
  return part.replace(/\.js$/, '').replace(/[^a-zA-Z0-9]/g, '_');
}
