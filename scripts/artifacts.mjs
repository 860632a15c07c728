// npm run build:release [-- --check]: builds everything of a release in release/, from an empty folder: the npm package, the
// executables, the Debian and RPM packages, the list of what they contain (sbom.cdx.json, CycloneDX), the notes from the changelog
// (NOTES.md) and SHA256SUMS.
//
// With --check it builds twice and compares, checks the Debian package in clean roots (scripts/check-packages.mjs, as root), and
// installs the npm package into an empty folder.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { notesOf } from './changelog.mjs';
import { architectures, koffiPackage, runtimePackage } from './prebuilt.mjs';
import { root, say } from './project.mjs';

const folder = join(root, 'release');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const sums = buildAll();
if (process.argv.includes('--check')) {
  if (buildAll() !== sums) throw new Error('A second build has other bytes: compare SHA256SUMS');
  say('Built twice, with the same bytes');
  checkTarball();
  run('node', ['scripts/check-packages.mjs']);
}

/** Builds everything. @returns the checksums */
function buildAll() {
  rmSync(folder, { recursive: true, force: true });
  for (const script of ['build', 'package']) run('node', [`scripts/${script}.mjs`]);
  run('npm', ['pack', '--loglevel=error', `--pack-destination=${folder}`]);
  writeFileSync(join(folder, 'sbom.cdx.json'), billOfMaterials());
  writeFileSync(join(folder, 'NOTES.md'), notesOf(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version));
  const lines = readdirSync(folder)
    .sort()
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex')}  ${name}\n`,
    );
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
  return lines.join('');
}

/** What npm knows of the packages, and the parts of the executables that are not npm dependencies. */
function billOfMaterials() {
  const words = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--omit=dev', '--package-lock-only'];
  const bill = JSON.parse(run('npm', words));
  // Both change with each run.
  delete bill.serialNumber;
  const time = Number(run('git', ['log', '-1', '--format=%ct'])) * 1000;
  bill.metadata.timestamp = new Date(time).toISOString();
  bill.metadata.component.name = 'vdpa';
  const known = new Set(bill.components.map((component) => component['bom-ref']));
  for (const arch of architectures) {
    for (const part of [runtimePackage(arch), koffiPackage(arch)]) {
      if (!known.has(`${part.name}@${part.version}`)) bill.components.push(componentOf(part));
    }
  }
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

function componentOf({ name, version: partVersion, integrity }) {
  const content = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
  return {
    'bom-ref': `${name}@${partVersion}`,
    type: 'library',
    name,
    version: partVersion,
    purl: `pkg:npm/${name.replace('@', '%40')}@${partVersion}`,
    hashes: [{ alg: 'SHA-512', content }],
    licenses: [{ license: { id: 'MIT' } }],
  };
}

/** Installs the npm package into an empty folder, uses and removes it. */
function checkTarball() {
  const work = mkdtempSync(join(tmpdir(), 'vdpa-tarball-'));
  try {
    const npm = (...words) => run('npm', [...words, `--prefix=${work}`, '--no-audit', '--no-fund', '--loglevel=error']);
    npm('install', join(folder, `vdpa-${version}.tgz`));
    run(join(work, 'node_modules/.bin/vdpa'), ['--sim', 'mgmtdev', 'show'], { VDPA_SIM_STATE: join(work, 'sim.json') });
    npm('uninstall', 'vdpa');
    say('The npm package installs, runs and is removed');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(file, args, env = {}) {
  const { status, stdout, error } = spawnSync(file, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
  });
  if (status !== 0) throw new Error(`"${[file, ...args].join(' ')}" failed${error ? `: ${error.message}` : ''}`);
  return stdout;
}
