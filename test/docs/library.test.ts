import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';

const read = (path: string): string => readFileSync(join(checkoutRoot, path), 'utf8');

/** What programs can import: `.`, `./netlink`. */
const exported = Object.keys((JSON.parse(read('package.json')) as { exports: object }).exports)
  .filter((name) => !name.endsWith('.json'))
  .sort();

test('the reference covers everything that can be imported', () => {
  const { entryPoints } = JSON.parse(read('typedoc.json')) as { entryPoints: string[] };
  const folders = exported.map((name) => join('src', name, 'index.ts'));
  assert.deepEqual([...entryPoints].sort(), folders.sort());
});

test('docs/library.md mentions everything that can be imported', () => {
  const told = [...read('docs/library.md').matchAll(/^\| `(vdpa[^`]*)` \|/gm)].map(([, name = '']) => name);
  assert.deepEqual(
    told.sort(),
    exported.map((name) => join('vdpa', name)),
  );
});
