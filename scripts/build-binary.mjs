// npm run build:binary [-- ARCHITECTURE…]: writes release/vdpa-linux-ARCHITECTURE, the program as one executable that needs no
// Node beside it: x64 and arm64, or those that are named.
//
// It is a single executable application of Node: a Node with the parts of the program, their compiled code, the modules of its
// threads, koffi's native module, and the files that "vdpa self export" writes. Node of this machine's architecture makes both.
//
// With --device-server it writes release/device-server instead, which tests on a kernel serve devices with (docs/binary.md).
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { buildOptions, bundle, packages, parts } from './bundle.mjs';
import { architectures, koffiFile, runtimeFile } from './prebuilt.mjs';
import { ensureBuilt, ensureModules, root, say } from './project.mjs';

/** What "vdpa self export" writes (src/cli/export-files.ts). */
const exported = ['completions', 'contrib/systemd', 'man', 'schemas'];

/** Where the modules of threads are (src/vduse/engine/embedded-modules.ts). */
const threads = 'vdpa:///threads/';

/** The first file of an executable, in the folder of work. */
const main = 'main.js';

const options = buildOptions();
options.define.VDPA_IS_EXECUTABLE = 'true';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'device-server': { type: 'boolean', default: false } },
});
const unknown = positionals.find((arch) => !architectures.includes(arch));
if (unknown !== undefined) {
  say(`Unknown architecture "${unknown}": expected ${architectures.join(' or ')}`);
  process.exit(1);
}
ensureModules();
ensureBuilt();
const work = mkdtempSync(join(tmpdir(), 'vdpa-binary-'));
try {
  await bundle(join(work, 'bin'), options, threads);
  if (values['device-server']) await buildDeviceServer();
  else await buildPrograms(positionals.length === 0 ? architectures : positionals);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function buildPrograms(archs) {
  await writeFiles();
  for (const arch of archs) {
    const code = compiledCode(arch);
    await bundleMain('src/cli/executable.ts', 'cjs', {
      COMPILED_PARTS: JSON.stringify(Object.keys(code)),
    });
    const assets = { ...filesIn('parts'), ...code, 'files.json': join(work, 'files.json') };
    makeExecutable(arch, { mainFormat: 'commonjs', assets }, join(root, `release/vdpa-linux-${arch}`));
  }
}

/** The server of tests, with the same Node, native module and threads as the program. */
async function buildDeviceServer() {
  const server = 'test/support/kernel/servers/device-server.ts';
  await bundleMain(server, 'esm', { VDUSE_MODULES: JSON.stringify(threads) });
  const sea = { mainFormat: 'module', assets: {}, execArgv: ['--expose-gc'] };
  makeExecutable(process.arch, sea, join(root, 'release/device-server'));
}

/** Bundles the first file of an executable. */
async function bundleMain(source, format, define) {
  await build({
    ...options,
    entryPoints: [source],
    outfile: join(work, main),
    format,
    bundle: true,
    minifySyntax: true,
    external: packages,
    define: { ...options.define, ...define },
  });
}

/** Writes what src/sys/program.ts reads: the files to export, by folder. */
async function writeFiles() {
  const { filesBelow } = await import('../build/src/sys/program.js');
  const files = Object.fromEntries(exported.map((folder) => [folder, filesBelow(join(root, folder))]));
  writeFileSync(join(work, 'files.json'), JSON.stringify(files));
}

/** The assets in a folder of the bundle: names to paths. */
function filesIn(folder) {
  return Object.fromEntries(
    readdirSync(join(work, 'bin', folder))
      .filter((name) => name.endsWith('.js'))
      .map((name) => [`${folder}/${name}`, join(work, 'bin', folder, name)]),
  );
}

/**
 * Compiles the parts as the launcher does (src/cli/launcher.ts). The same seed makes the same bytes.
 * @returns the assets; none if this machine cannot run that Node
 */
function compiledCode(arch) {
  const cache = join(work, 'bin/cache');
  rmSync(cache, { recursive: true, force: true });
  const launcher = ['--random-seed=1', 'vdpa.js', '-V'];
  const { status } = spawnSync(runtimeFile(arch), launcher, { cwd: join(work, 'bin'), env: {}, stdio: 'ignore' });
  if (status !== 0) {
    say(`This machine runs no programs for ${arch}: compiled code is left out, and each start takes longer`);
    return {};
  }
  const files = readdirSync(cache);
  const fileOf = (part) => join(cache, files.find((name) => name.startsWith(`${part}-`)) ?? part);
  return Object.fromEntries(Object.keys(parts).map((part) => [`code/${part}`, fileOf(part)]));
}

/** Makes an executable: these assets, and those that every one has. */
function makeExecutable(arch, sea, path) {
  const output = join(work, 'executable');
  const config = join(work, 'sea.json');
  const settings = {
    // Relative: the executable contains this path.
    main,
    executable: runtimeFile(arch),
    output,
    disableExperimentalSEAWarning: true,
    // Neither NODE_OPTIONS nor options on the command line change how it runs, and no signal opens its inspector.
    execArgvExtension: 'none',
    ...sea,
    execArgv: ['--disable-sigusr1', ...(sea.execArgv ?? [])],
    assets: { ...sea.assets, ...filesIn('threads'), 'koffi.node': koffiFile(arch) },
  };
  writeFileSync(config, JSON.stringify(settings));
  const { status, stderr, error } = spawnSync(runtimeFile(process.arch), ['--build-sea', config], {
    cwd: work,
    env: {},
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Node has not made ${path}: ${error?.message ?? stderr}`);
  mkdirSync(dirname(path), { recursive: true });
  // Never a file that a running program is being read from.
  const temporary = `${path}.new`;
  cpSync(output, temporary);
  renameSync(temporary, path);
  say(relative(process.cwd(), path));
}
