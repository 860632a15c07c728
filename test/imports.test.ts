import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../lab/cache.js';

/** Each source file, and those of them that it imports: at its start or on use, values or types. */
const imports = new Map<string, readonly string[]>();

for (const folder of ['src', 'test', 'lab', 'bench']) {
  for (const name of readdirSync(join(checkoutRoot, folder), { encoding: 'utf8', recursive: true })) {
    if (name.endsWith('.ts')) imports.set(join(folder, name), importsOf(join(folder, name)));
  }
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(checkoutRoot, file), 'utf8');
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g)].map(([, path = '']) =>
    join(dirname(file), `${path}.ts`),
  );
}

/** The first way round from a file to itself, along imports. */
function findCircle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    const start = way.indexOf(file);
    if (start >= 0) return [...way.slice(start), file];
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...way, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return undefined;
}

test('no import goes round', () => {
  assert.equal(findCircle()?.join(' → '), undefined);
});

/** The layers of src/ as CONTRIBUTING.md has them, from the top down. */
function readLayers(): string[][] {
  const text = readFileSync(join(checkoutRoot, 'CONTRIBUTING.md'), 'utf8');
  const line = /A layer knows [^]*?\n {4}(.*→.*)\n/.exec(text)?.[1] ?? assert.fail('no layers in CONTRIBUTING.md');
  return line.split(' → ').map((layer) => layer.split(', '));
}

test('a layer imports none that is above it', () => {
  const layers = readLayers();
  const folderOf = (file: string): string => /^src\/([^/]+)\//.exec(file)?.[1] ?? '';
  const heightOf = (file: string): number => -layers.findIndex((folders) => folders.includes(folderOf(file)));
  // What is made from the schemas imports nothing, and is no layer.
  const isOfLayer = (file: string): boolean => !['', 'generated'].includes(folderOf(file));
  const wrong = [...imports].flatMap(([file, imported]) =>
    imported
      .filter((other) => isOfLayer(file) && isOfLayer(other) && heightOf(other) > heightOf(file))
      .map((other) => `${file} imports ${other}`),
  );
  assert.deepEqual(wrong, []);
  const folders = new Set([...imports.keys()].filter(isOfLayer).map(folderOf));
  assert.deepEqual([...folders].sort(), layers.flat().sort());
});
