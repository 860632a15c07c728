// npm run release [-- [--dry-run] [VERSION]]: checks that this clone can be released, puts the version and the date on the
// unreleased section of the changelog, commits and tags that, builds and checks everything of the release in release/
// (scripts/artifacts.mjs), and publishes the package with provenance.
//
// With --dry-run the commit and the tag are made, and the package is packed but not published. VERSION defaults to that in
// package.json. Without a CI service that vouches for the build, npm refuses to publish with provenance.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { mentions, ReleaseError, releaseSection, setVersion } from './changelog.mjs';
import { root, say } from './project.mjs';

const flags = ['dry-run', 'skip-tests', 'skip-artifacts'];

try {
  release();
} catch (error) {
  if (!(error instanceof ReleaseError)) throw error;
  say(`release: ${error.message}`);
  process.exitCode = 1;
}

function release() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(flags.map((name) => [name, { type: 'boolean', default: false }])),
  });
  const manifest = JSON.parse(read('package.json'));
  const version = positionals[0] ?? manifest.version;
  if (positionals.length > 1 || !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new ReleaseError(`Invalid version "${positionals.join(' ')}": expected MAJOR.MINOR.PATCH`);
  }
  checkClone(version);
  const changelog = releaseSection(read('CHANGELOG.md'), version, new Date());
  if (!values['skip-tests']) run('npm', 'test');
  write('CHANGELOG.md', changelog);
  for (const path of mentions) {
    write(path, setVersion(path, read(path), manifest.version, version));
  }
  run('git', 'commit', '--quiet', '--all', `--message=Release ${version}`);
  run('git', 'tag', '--annotate', `v${version}`, `--message=vdpa ${version}`);
  // Of the tagged commit: its time is that of all files.
  if (!values['skip-artifacts']) run('node', 'scripts/artifacts.mjs', '--check');
  if (values['dry-run']) run('npm', 'pack', '--loglevel=error');
  else run('npm', 'publish', '--provenance', '--access=public');
  say(`Released ${version}. To publish the commit and the tag: git push --follow-tags`);
}

/** @throws ReleaseError unless this is main, without changes, and the version is new */
function checkClone(version) {
  const branch = output('git', 'branch', '--show-current');
  if (branch !== 'main') throw new ReleaseError(`The branch is "${branch}": releases are made from main`);
  const changes = output('git', 'status', '--porcelain');
  if (changes !== '') throw new ReleaseError(`There are uncommitted changes:\n${changes}`);
  if (output('git', 'tag', '--list', `v${version}`) !== '')
    throw new ReleaseError(`The tag v${version} exists already`);
}

function read(path) {
  return readFileSync(join(root, path), 'utf8');
}

function write(path, text) {
  writeFileSync(join(root, path), text);
}

/** The output of a program. @throws ReleaseError if it fails */
function output(file, ...args) {
  const { status, stdout } = spawnSync(file, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  if (status !== 0) throw new ReleaseError(`"${[file, ...args].join(' ')}" failed`);
  return stdout.trimEnd();
}

/** Runs a program with its output on standard error. @throws ReleaseError if it fails */
function run(file, ...args) {
  const { status } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new ReleaseError(`"${[file, ...args].join(' ')}" failed`);
}
