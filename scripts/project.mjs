// What the scripts share. They run on a fresh clone, so this file uses only Node.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setInterval } from 'node:timers';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Reports progress on standard error, which leaves standard output to results. */
export const say = (line) => console.error(line);

/** The program file of an installed npm package: tool('eslint', 'bin/eslint.js'). */
export const tool = (packageName, file) => join(root, 'node_modules', packageName, file);

/** Runs a program without standard input, with all its output on standard error. */
function runStep(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  say(`${[file, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

/** Set for an npm that a script here runs: the caller does what `npm ci` would do at its end. */
const PREPARING = 'VDPA_PREPARING';

/** Whether this process runs at the end of an `npm ci` of {@link ensureModules}. */
export const isWithinEnsureModules = () => process.env[PREPARING] === '1';

/** Installs the npm packages, unless those in the lock file are installed. */
export function ensureModules() {
  if (modulesFit()) return;
  say('Installing the npm packages');
  // Options of an outer npm, such as to install globally or without development packages, are not for this one.
  const here = ['--no-global', '--location=project', `--prefix=${root}`, '--include=dev', '--include=optional'];
  process.env[PREPARING] = '1';
  runStep('npm', ['ci', ...here, '--no-dry-run', '--no-audit', '--no-fund', '--loglevel=error']);
  delete process.env[PREPARING];
}

/**
 * Whether the npm packages in the lock file are installed. Optional ones may fail to build; prebuilt ones for this machine do
 * not.
 */
export function modulesFit() {
  const installedList = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedList)) return false;
  const read = (file) => Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages);
  const installed = new Map(read(installedList).map(([path, { version }]) => [path, version]));
  const isPrebuilt = ({ os, cpu }) => os?.includes(process.platform) === true && cpu?.includes(process.arch) === true;
  return read(join(root, 'package-lock.json')).every(([path, entry]) => {
    if (path === '' || installed.get(path) === entry.version) return true;
    return entry.optional === true && !installed.has(path) && !isPrebuilt(entry);
  });
}

/** Builds bin/ and build/. */
export function build() {
  runStep(process.execPath, [join(root, 'scripts/build.mjs'), '--dev']);
}

/** Builds bin/ and build/, unless they are newer than all their sources. */
export function ensureBuilt() {
  if (!isNewer(['build/lab/main.js', 'bin/vdpa.js'], ['src', 'test', 'lab', 'bench'])) build();
}

/** Builds bin/ and dist/, which the package contains, unless they are newer than all their sources. */
export function ensurePackageBuilt() {
  if (!isNewer(['dist/index.js', 'dist/index.d.ts', 'bin/vdpa.js'], ['src', 'tsconfig.json', 'tsconfig.build.json'])) {
    runStep(process.execPath, [join(root, 'scripts/build.mjs')]);
  }
}

/** Whether these files exist and are newer than these sources, and than what every build uses. */
function isNewer(outputs, sources) {
  const timeOf = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newest = (path) =>
    (statSync(join(root, path)).isDirectory() ? readdirSync(join(root, path), { recursive: true }) : []).reduce(
      (time, name) => Math.max(time, timeOf(join(path, name))),
      timeOf(path),
    );
  const oldestOutput = Math.min(...outputs.map(timeOf));
  return [...sources, 'schemas', 'scripts', 'package.json', 'node_modules/esbuild'].every(
    (path) => newest(path) <= oldestOutput,
  );
}

/** Exits cleanly on a signal, and when the npm that started this process is killed. */
export function endOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  if (process.env.npm_lifecycle_event === undefined) return;
  // npm starts a shell that starts this process; if either is gone, npm has been killed.
  const ancestors = () => {
    const status = readFileSync(`/proc/${process.ppid}/status`, 'utf8');
    return `${process.ppid} ${/^PPid:\s*(\d+)/m.exec(status)?.[1]}`;
  };
  const first = ancestors();
  const watch = setInterval(() => {
    if (ancestors() !== first) process.exit(128 + constants.signals.SIGTERM);
  }, 500);
  watch.unref();
}

/**
 * Runs a program with Node as a child that does not outlive this process.
 * @returns {Promise<{status: number, output: string}>} output is empty unless `take` is set
 */
export function runNode(args, { env = process.env, take = false } = {}) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', take ? 'pipe' : 'inherit', take ? 'pipe' : 'inherit'],
  });
  const kill = () => child.kill('SIGTERM');
  process.on('exit', kill);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => {
    child.on('close', (status) => {
      process.off('exit', kill);
      resolve({ status: status ?? 1, output });
    });
  });
}
