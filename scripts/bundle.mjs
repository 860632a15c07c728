// Bundles the executable:
//   bin/vdpa.js     what is started: loads the parts, and keeps what V8 makes of them (src/cli/launcher.ts)
//   bin/parts/      the program: main.js with what most commands need, and files that are loaded on use
//   bin/threads/    modules that threads load by themselves
//
// Node spends about 0.3 ms on each file that it loads and 0.02 ms on each kilobyte in it. esbuild splits a program at
// every import(), and what two pieces share becomes a piece of its own: dozens of files where there are many commands. So
// the program is split first, and then the pieces that are needed together are joined into one file: a part.
//
// The files are CommonJS, because Node starts a CommonJS program several milliseconds sooner than an ES module; esbuild
// splits only ES modules, which the joining turns into CommonJS.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/**
 * The parts with a name, each with the modules that it is made for and all that these import, but for what an earlier
 * part has. Every piece that none of them has becomes a part of its own.
 */
const parts = {
  'main.js': [
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
  'sim.js': ['src/sim/simulation.ts'],
  'batch.js': ['src/cli/batch.ts'],
};

/** What threads load. */
const threadModules = ['src/vduse/worker.ts', 'src/vduse/block-module.ts', 'src/vduse/net-module.ts'];

const packages = ['koffi', 'node-netlink'];

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
  const bin = join(root, 'bin');
  const pieces = await split(common);
  const files = new Set([...pieces.values()].map(({ file }) => file));
  const texts = new Map();
  for (const file of files) texts.set(file, await joinPieces(file, pieces, common));
  for (const folder of ['parts', 'threads', 'cache']) rmSync(join(bin, folder), { recursive: true, force: true });
  mkdirSync(join(bin, 'parts'), { recursive: true });
  writeFileSync(join(bin, 'package.json'), '{ "type": "commonjs" }\n');
  for (const [file, text] of texts) writeFileSync(join(bin, 'parts', file), text);
  await buildThreads(bin, common);
  await buildLauncher(bin, texts, common);
}

/**
 * Splits the program at every import().
 * @typedef {{ code: string, source: string | undefined, uses: string[], imports: string[], file: string }} Piece
 *   the module that it was split off for, the pieces that it uses, those of them that it imports at its start, and the
 *   part that it goes to
 * @returns {Promise<Map<string, Piece>>} the pieces by name
 */
async function split(common) {
  const { outputFiles, metafile } = await build({
    ...common,
    entryPoints: { start: parts['main.js'][0] },
    outdir: 'bin',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minifySyntax: true,
    write: false,
    metafile: true,
    external: packages,
    // The commands are oclif commands for whoever loads them with oclif; the executable needs only their shape.
    alias: { '@oclif/core/command': './src/cli/bare-command.ts' },
    define: { ...common.define, ...importMeta, VDUSE_MODULES: '"../threads/"' },
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const pieces = new Map(
    Object.entries(metafile.outputs).map(([path, { entryPoint, imports }]) => {
      const inside = imports.filter(({ external }) => !external);
      const statements = inside.filter(({ kind }) => kind === 'import-statement');
      const names = (imported) => imported.map((found) => basename(found.path));
      const name = basename(path);
      return [name, { code: texts.get(name), source: entryPoint, uses: names(inside), imports: names(statements) }];
    }),
  );
  const assign = (name, file) => {
    const piece = pieces.get(name);
    if (piece.file !== undefined) return;
    piece.file = file;
    for (const imported of piece.imports) assign(imported, file);
  };
  for (const [file, sources] of Object.entries(parts)) {
    for (const source of sources) {
      const [name] = [...pieces].find(([, piece]) => piece.source === source) ?? [];
      if (name === undefined) throw new Error(`${source} is to be in ${file}, but the program does not load it`);
      assign(name, file);
    }
  }
  for (const [name, piece] of pieces) piece.file ??= name;
  return pieces;
}

/**
 * Makes a part of all its pieces: the text of a function of the launcher's. It exports the pieces that other parts use,
 * each as an object.
 * @param {string} file
 * @param {Map<string, Piece>} pieces
 */
async function joinPieces(file, pieces, common) {
  const wanted = new Set([...pieces.values()].filter((piece) => piece.file !== file).flatMap(({ uses }) => uses));
  const lines = [...wanted]
    .filter((name) => pieces.get(name).file === file)
    .map((name) => `export * as ${exportName(name)} from './${name}';`);
  if (file === 'main.js') lines.push("import './start.js';");
  const { outputFiles } = await build({
    ...common,
    stdin: { contents: lines.join('\n') },
    bundle: true,
    format: 'cjs',
    charset: 'ascii',
    minifySyntax: true,
    minifyWhitespace: true,
    write: false,
    external: packages,
    // import() would start Node's loader of ES modules.
    supported: { 'dynamic-import': false },
    plugins: [piecesPlugin(file, pieces)],
  });
  const [{ text }] = outputFiles;
  const lead = text.includes('bundledModuleUrl') ? declareModuleUrl : '';
  return `(function (exports, require, module, __filename, __dirname) {${lead}${text}\n})\n`;
}

/** Finds pieces: in this part, or behind a require() of the part that has them. */
function piecesPlugin(file, pieces) {
  return {
    name: 'pieces',
    setup(builder) {
      builder.onResolve({ filter: /^\.\// }, ({ path }) => ({ path: basename(path), namespace: 'piece' }));
      builder.onLoad({ filter: /./, namespace: 'piece' }, ({ path }) => {
        const piece = pieces.get(path);
        if (piece.file === file) return { contents: piece.code };
        const exported = `require('part:${piece.file}').${exportName(path)}`;
        return { contents: `module.exports = Object.defineProperty(${exported}, '__esModule', { value: true })` };
      });
      builder.onResolve({ filter: /^part:/ }, ({ path }) => ({ path: path.replace('part:', './'), external: true }));
    },
  };
}

function exportName(piece) {
  return piece.replace(/\.js$/, '').replace(/[^a-zA-Z0-9]/g, '_');
}

async function buildThreads(bin, common) {
  await build({
    ...common,
    entryPoints: threadModules,
    outdir: join(bin, 'threads'),
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    minifySyntax: true,
    external: packages,
  });
  writeFileSync(join(bin, 'threads/package.json'), '{ "type": "module" }\n');
}

/** @param {Map<string, string>} texts those of the parts */
async function buildLauncher(bin, texts, common) {
  const hash = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
  const cached = Object.fromEntries(Object.keys(parts).map((file) => [file, hash(texts.get(file))]));
  const program = join(bin, 'vdpa.js');
  await build({
    ...common,
    entryPoints: ['src/cli/launcher.ts'],
    outfile: program,
    format: 'cjs',
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: '#!/usr/bin/env node' },
    define: { ...importMeta, CACHED_PARTS: JSON.stringify(cached) },
  });
  chmodSync(program, 0o755);
}
