// Bundles the executable:
//   bin/vdpa.js     what is started: loads the parts, and caches their compiled code (src/cli/launcher.ts)
//   bin/parts/      the program: main.js with what most commands need, and files that are loaded on demand
//   bin/threads/    modules that threads load
//
// Node spends about 0.3 ms on each file that it loads and 0.02 ms on each kilobyte in it. esbuild splits a program at every
// import(), and what two pieces share becomes another piece: dozens of files if there are many commands. So the program is first
// split, and then the pieces that are needed together are joined into one file: a part.
//
// The files are CommonJS, because Node starts a CommonJS program several milliseconds sooner than an ES module; esbuild
// splits only ES modules, which the joining turns into CommonJS.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './project.mjs';

/**
 * The named parts, each with the modules that it is for and everything these import. What two of them import is in the first, so
 * that a command does not load one part for a small piece that another needs. Every piece in none of them becomes a separate
 * part.
 */
export const parts = {
  'main.js': [
    'src/main.ts',
    'src/commands/mgmtdev/show.ts',
    'src/commands/dev/show.ts',
    'src/commands/dev/config/show.ts',
    'src/commands/dev/vstats/show.ts',
  ],
  'changes.js': ['src/commands/dev/add.ts', 'src/commands/dev/del.ts', 'src/commands/dev/set.ts'],
  'socket.js': ['src/netlink/transports/index.ts', 'src/netlink/transports/koffi.ts'],
  'sim.js': ['src/sim/simulation.ts'],
  'batch.js': ['src/cli/batch.ts'],
};

/** Modules that threads load, by the names in src/vduse/engine/module-url.ts. */
const threadModules = {
  'data-thread': 'src/vduse/engine/thread-entry.ts',
  'file-thread': 'src/vduse/block/file-thread.ts',
  'nbd-thread': 'src/vduse/block/nbd/connector-thread.ts',
  'pool-thread': 'src/vduse/block/backends/pool-thread.ts',
  'block-module': 'src/vduse/block/module.ts',
  'net-module': 'src/vduse/net/module.ts',
  // Of the single executable only.
  'embedded-modules': 'src/vduse/engine/embedded-modules.ts',
};

export const packages = ['koffi', 'node-netlink'];

/** What CommonJS has in place of import.meta. */
const importMeta = {
  'import.meta.url': 'bundledModuleUrl',
  'import.meta.dirname': '__dirname',
  'import.meta.filename': '__filename',
};
const declareModuleUrl = "const bundledModuleUrl = require('node:url').pathToFileURL(__filename).href;\n";

/**
 * What every build here has in common.
 * @returns {import('esbuild').BuildOptions}
 */
export function buildOptions() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    absWorkingDir: root,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    logLevel: 'warning',
    define: { VDPA_VERSION: JSON.stringify(version) },
  };
}

/**
 * Writes the bundle to a folder: `bin/`, or that of the single executable's files.
 * @param {string} bin
 * @param {import('esbuild').BuildOptions} common
 * @param {string} threads where the parts find the modules of threads
 */
export async function bundle(bin, common, threads = '../threads/') {
  const pieces = await split(common, threads);
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
 * @typedef {{
 *   code: string, source: string | undefined, exports: string[], uses: string[], imports: string[], file: string
 * }} Piece
 *   the module for which it was split off, its exports, the pieces that it uses, those that it imports statically, and the part
 *   that it belongs to
 * @returns {Promise<Map<string, Piece>>} the pieces by name
 */
async function split(common, threads) {
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
    // The commands are oclif commands for programs that load them with oclif; the executable needs only their shape.
    alias: { '@oclif/core/command': './src/cli/oclif-command.ts' },
    define: { ...common.define, ...importMeta, VDUSE_MODULES: JSON.stringify(threads) },
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const pieces = new Map(
    Object.entries(metafile.outputs).map(([path, { entryPoint, imports, exports }]) => {
      const inside = imports.filter(({ external }) => !external);
      const statements = inside.filter(({ kind }) => kind === 'import-statement');
      const names = (imported) => imported.map((found) => basename(found.path));
      const name = basename(path);
      const code = texts.get(name);
      return [name, { code, source: entryPoint, exports, uses: names(inside), imports: names(statements) }];
    }),
  );
  const [first] = Object.keys(parts);
  const wanted = new Map();
  for (const [file, sources] of Object.entries(parts)) {
    for (const name of importedFrom(sources, file, pieces)) wanted.set(name, [...(wanted.get(name) ?? []), file]);
  }
  for (const [name, files] of wanted) pieces.get(name).file = files.length === 1 ? files[0] : first;
  for (const [name, piece] of pieces) piece.file ??= name;
  return pieces;
}

/** The pieces of these modules, and everything they import. */
function importedFrom(sources, file, pieces) {
  const found = new Set();
  const add = (name) => {
    if (found.has(name)) return;
    found.add(name);
    pieces.get(name).imports.forEach(add);
  };
  for (const source of sources) {
    const [name] = [...pieces].find(([, piece]) => piece.source === source) ?? [];
    if (name === undefined) throw new Error(`${source} is to be in ${file}, but the program does not load it`);
    add(name);
  }
  return found;
}

/**
 * Joins the pieces of a part: returns the text of a function for the launcher, which shares what other parts import.
 * @param {string} file
 * @param {Map<string, Piece>} pieces
 */
async function joinPieces(file, pieces, common) {
  const wanted = new Set([...pieces.values()].filter((piece) => piece.file !== file).flatMap(({ uses }) => uses));
  const shared = [...wanted].filter((name) => pieces.get(name).file === file);
  const start = file === 'main.js' ? "import './start.js';" : '';
  const { outputFiles } = await build({
    ...common,
    stdin: { contents: `import 'shared';${start}` },
    bundle: true,
    format: 'cjs',
    charset: 'ascii',
    minifySyntax: true,
    minifyWhitespace: true,
    write: false,
    external: packages,
    // import() would start Node's ES module loader.
    supported: { 'dynamic-import': false },
    plugins: [piecesPlugin(file, shared, pieces)],
  });
  const [{ text }] = outputFiles;
  const lead = text.includes('bundledModuleUrl') ? declareModuleUrl : '';
  return `(function (share, require, __filename, __dirname) {${lead}${text}\n})\n`;
}

/**
 * Resolves pieces: in this part, or in the part that has them. What one part imports from another is read once, when the
 * importing part starts, and becomes a variable there: by then it has its value, since imports between parts go one way.
 */
function piecesPlugin(file, shared, pieces) {
  return {
    name: 'pieces',
    setup(builder) {
      builder.onResolve({ filter: /^shared$/ }, () => ({ path: 'shared', namespace: 'shared' }));
      builder.onLoad({ filter: /./, namespace: 'shared' }, () => ({ contents: sharing(shared, pieces) }));
      builder.onResolve({ filter: /^\.\// }, ({ path, kind }) => {
        const name = basename(path);
        const isElsewhere = pieces.get(name).file !== file;
        if (isElsewhere && kind === 'dynamic-import') return { path: requested(name, pieces), external: true };
        return { path: name, namespace: 'piece' };
      });
      builder.onLoad({ filter: /./, namespace: 'piece' }, ({ path }) => {
        const piece = pieces.get(path);
        return { contents: piece.file === file ? piece.code : importing(path, pieces) };
      });
      builder.onResolve({ filter: /#/ }, ({ path }) => ({ path, external: true }));
    },
  };
}

/** A module that passes the exports of these pieces to the launcher, for other parts. */
function sharing(names, pieces) {
  const imports = [];
  const entries = names.map((name, index) => {
    const { exports } = pieces.get(name);
    const local = (at) => `shared${index}_${at}`;
    imports.push(`import { ${exports.map((exported, at) => `${exported} as ${local(at)}`)} } from './${name}';`);
    const members = exports.map((exported, at) => `${exported}: ${local(at)}`);
    // import() of it has a default export only if it is marked as an ES module.
    return `'${name}': () => ({ __esModule: true, ${members} })`;
  });
  return `${imports.join('\n')}\nshare({ ${entries.join(', ')} });`;
}

/** A module in place of a piece of another part. */
function importing(name, pieces) {
  const { exports } = pieces.get(name);
  const local = (at) => `imported${at}`;
  return `
    const { ${exports.map((exported, at) => `${exported}: ${local(at)}`)} } = require('${requested(name, pieces)}');
    export { ${exports.map((exported, at) => `${local(at)} as ${exported}`)} };
  `;
}

/** How a part asks the launcher for a piece of another one. */
function requested(name, pieces) {
  return `${pieces.get(name).file}#${name}`;
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
    define: { ...common.define, VDUSE_MODULES: '"./"' },
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
