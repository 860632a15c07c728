import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { ALSO_ON_QEMU, kernelTestFiles } from '../support/kernel/lab/files.js';

const all = { pattern: '', machine: undefined };
const usual = kernelTestFiles({ ...all, long: false });
const long = kernelTestFiles({ ...all, long: true });

const placesOf = (files: typeof usual): string[] => files.map(({ source, machine }) => `${source} on ${machine}`);

test('each file that also runs on the machine qemu exists', () => {
  for (const name of ALSO_ON_QEMU) assert.ok(existsSync(join(checkoutRoot, `test/kernel/${name}.test.ts`)), name);
});

test('npm test and npm run test:long never run a file twice on a machine, and together run each file for any machine on both', () => {
  const places = [...placesOf(usual), ...placesOf(long)];
  assert.equal(new Set(places).size, places.length);
  const common = usual.filter(({ source, machine }) => machine === 'uml' && /^test\/kernel\/[^/]+$/.test(source));
  assert.ok(common.length > 50);
  for (const { source } of common) assert.ok(places.includes(`${source} on qemu`), source);
});

test('files for one machine run on that machine, and files in a folder long/ only in npm run test:long', () => {
  for (const { source, machine } of [...usual, ...long]) {
    const [, own] = /^test\/kernel\/(qemu|debian)\//.exec(source) ?? [];
    if (own !== undefined) assert.equal(machine, own, source);
  }
  assert.deepEqual(
    usual.filter(({ source }) => source.includes('/long/')),
    [],
  );
});

test('with a machine, a file runs there and nowhere else, even if it is not in the list', () => {
  const files = kernelTestFiles({ pattern: 'kernel/dev.test', machine: 'qemu', long: false });
  assert.deepEqual(placesOf(files), ['test/kernel/dev.test.ts on qemu']);
  assert.deepEqual(kernelTestFiles({ pattern: 'kernel/qemu/', machine: 'uml', long: true }), []);
});
