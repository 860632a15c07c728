/** The release script in a separate clone: nothing is published. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { cloneFresh, needsGit } from '../support/fresh-clone.js';

describe('npm run release', needsGit, () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-release-'));
  const clone = join(folder, 'vdpa');

  before(() => {
    cloneFresh(clone);
    symlinkSync(join(checkoutRoot, 'node_modules'), join(clone, 'node_modules'));
    git('init', '-q', '-b', 'main');
    git('config', 'user.name', 'Release Test');
    git('config', 'user.email', 'release@example.org');
    // A symbolic link, which the pattern in .gitignore does not match.
    writeFileSync(join(clone, '.git/info/exclude'), 'node_modules\n');
    git('add', '--all');
    git('commit', '-q', '--allow-empty', '-m', 'What is being tested');
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function run(file: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(file, args, { cwd: clone, encoding: 'utf8' });
  }

  function git(...args: string[]): string {
    const { status, stdout, stderr } = run('git', ...args);
    assert.equal(status, 0, stderr);
    return stdout.trimEnd();
  }

  const release = (...args: string[]) =>
    run(process.execPath, 'scripts/release.mjs', '--dry-run', '--skip-tests', '--skip-artifacts', ...args);
  const read = (path: string): string => readFileSync(join(clone, path), 'utf8');

  function refused(message: RegExp, ...args: string[]): void {
    const before = git('rev-parse', 'HEAD');
    const { status, stderr } = release(...args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
    assert.equal(git('rev-parse', 'HEAD'), before);
    assert.equal(git('tag'), '');
  }

  test('the version is the same in all places where the script changes it', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    for (const path of ['README.md', 'docs/iproute2.md']) assert.ok(read(path).includes(`vdpa-${version}"`), path);
  });

  test('fails on another branch, with uncommitted changes, and for an invalid version', () => {
    refused(/Invalid version "1\.0": expected MAJOR\.MINOR\.PATCH/, '1.0');
    git('checkout', '-q', '-b', 'other');
    refused(/The branch is "other"/);
    git('checkout', '-q', 'main');
    writeFileSync(join(clone, 'new.txt'), '');
    refused(/uncommitted changes:\n\?\? new\.txt/);
    rmSync(join(clone, 'new.txt'));
  });

  test('puts the version and the date into the changelog, commits, tags and packs', () => {
    const { status, stderr } = release('9.8.7');
    assert.equal(status, 0, stderr);
    const day = new Date().toISOString().slice(0, 10);
    assert.ok(read('CHANGELOG.md').includes(`\n## Unreleased\n\n## 9.8.7 - ${day}\n\n`));
    assert.equal((JSON.parse(read('package.json')) as { version: string }).version, '9.8.7');
    const lock = JSON.parse(read('package-lock.json')) as {
      version: string;
      packages: Record<string, { version: string }>;
    };
    assert.deepEqual([lock.version, lock.packages['']?.version], ['9.8.7', '9.8.7']);
    assert.ok(read('README.md').includes('"vdpa-9.8.7"'));
    assert.equal(git('log', '-1', '--format=%s'), 'Release 9.8.7');
    assert.equal(git('tag', '--points-at', 'HEAD'), 'v9.8.7');
    assert.equal(git('status', '--porcelain'), '');
    assert.ok(readFileSync(join(clone, 'vdpa-9.8.7.tgz')).length > 100_000);
    const again = release('9.8.7');
    assert.equal(again.status, 1);
    assert.match(again.stderr, /The tag v9\.8\.7 exists already/);
    const empty = release('9.8.8');
    assert.equal(empty.status, 1);
    assert.match(empty.stderr, /The section "Unreleased" of CHANGELOG\.md is empty/);
  });
});
