// What the launcher caches for the next run: bin/cache/.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { programEnv } from '../support/simulating-program.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-launcher-'));
const bin = join(folder, 'bin');
const cache = join(bin, 'cache');

after(() => {
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  rmSync(bin, { recursive: true, force: true });
  cpSync(fileURLToPath(new URL('../../../bin', import.meta.url)), bin, {
    recursive: true,
    filter: (source) => !source.endsWith('/cache'),
  });
});

/** Runs a line of words on the simulation, with the copy of the program. */
function vdpa(
  line: string,
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(bin, 'vdpa.js'), '--sim', ...line.split(' ')], {
    env: { ...programEnv, VDPA_SIM_STATE: join(folder, 'sim.json'), ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const expected = { status: 0, stdout: '{"dev":{}}\n', stderr: '' };

/** The parts whose code is cached. */
const usualParts = ['batch.js', 'changes.js', 'main.js', 'sim.js', 'socket.js'];

/** The cache file of the main part; there must be one. */
function mainCache(): string {
  const name = readdirSync(cache).find((file) => file.startsWith('main.js-'));
  assert.ok(name);
  return join(cache, name);
}

test('the first run caches the compiled code of all the usual parts, and later runs only read it', () => {
  assert.deepEqual(vdpa('-j dev show'), expected);
  const names = readdirSync(cache);
  assert.deepEqual(names.map((name) => name.replace(/-.*/, '')).sort(), usualParts);
  for (const name of names) {
    assert.match(name, new RegExp(`^[a-z]+\\.js-[0-9a-f]{16}-${process.version}-${process.arch}$`));
    assert.equal(statSync(join(cache, name)).mode & 0o777, 0o644);
  }
  const { ino } = statSync(mainCache());
  assert.deepEqual(vdpa('-j dev show'), expected);
  assert.equal(statSync(mainCache()).ino, ino);
  assert.deepEqual(readdirSync(cache), names);
});

test('the cached code is complete, whatever the first run was', () => {
  const sizes = ['-j dev show', 'dev show none', 'help'].map((line) => {
    rmSync(cache, { recursive: true, force: true });
    vdpa(line);
    return readdirSync(cache).map((name) => [name, statSync(join(cache, name)).size] as const);
  });
  const [first = [], ...others] = sizes;
  assert.equal(first.length, usualParts.length);
  for (const other of others) {
    for (const [index, [name, size]] of other.entries()) {
      const [expectedName, expectedSize = 0] = first[index] ?? [];
      assert.equal(name, expectedName);
      assert.ok(Math.abs(size - expectedSize) < expectedSize / 50, `${name}: ${size}, not ${expectedSize}`);
    }
  }
});

test('a run with caching disabled stores nothing', () => {
  assert.deepEqual(vdpa('-j dev show', { VDPA_CODE_CACHE: '0' }), expected);
  assert.equal(readdirSync(bin).includes('cache'), false);
});

test('code that other users could have written is not run, but replaced', () => {
  assert.deepEqual(vdpa('-j dev show'), expected);
  const path = mainCache();
  for (const mode of [0o664, 0o646]) {
    chmodSync(path, mode);
    const { ino } = statSync(path);
    assert.deepEqual(vdpa('-j dev show'), expected);
    const { ino: newIno, mode: newMode } = statSync(path);
    assert.deepEqual([newIno === ino, newMode & 0o777], [false, 0o644]);
  }
});

test('a symbolic link in place of a cache file is not followed', () => {
  assert.deepEqual(vdpa('-j dev show'), expected);
  const path = mainCache();
  const target = join(folder, 'target');
  writeFileSync(target, 'what it was');
  rmSync(path);
  symlinkSync(target, path);
  assert.deepEqual(vdpa('-j dev show'), expected);
  assert.equal(readFileSync(target, 'utf8'), 'what it was');
  assert.ok(lstatSync(path).isFile());
});

test('code that this Node cannot use does no harm', () => {
  assert.deepEqual(vdpa('-j dev show'), expected);
  const path = mainCache();
  const code = readFileSync(path);
  for (const content of [Buffer.alloc(0), Buffer.from('rubbish'), code.subarray(0, 100), Buffer.alloc(code.length)]) {
    writeFileSync(path, content);
    assert.deepEqual(vdpa('-j dev show'), expected);
  }
});

test('where nothing can be cached everything still works', () => {
  mkdirSync(bin, { recursive: true });
  writeFileSync(cache, 'not a folder');
  assert.deepEqual(vdpa('-j dev show'), expected);
  assert.equal(readFileSync(cache, 'utf8'), 'not a folder');
});
