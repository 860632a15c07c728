import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
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

const contributing = readFileSync(join(checkoutRoot, 'CONTRIBUTING.md'), 'utf8');

/** What CONTRIBUTING.md says of an order, from the top down. */
function readOrder(line: RegExp): string[][] {
  const text = line.exec(contributing)?.[1] ?? assert.fail(`CONTRIBUTING.md has no line like ${line.source}`);
  return text.split(' → ').map((step) => step.split(', '));
}

/** What stands directly below a folder, and has a place in an order there. */
interface Order {
  readonly base: string;
  readonly steps: readonly (readonly string[])[];
  /** Whether what is on the same step may import each other. */
  readonly siblings: boolean;
  /** What has no place in it. */
  readonly apart?: readonly string[];
}

/** Checks that what is on a step imports what is on lower ones alone, and that everything has its step. */
function checkOrder({ base, steps, siblings, apart = [] }: Order): void {
  const roomOf = (file: string): string => /^[^/]+/.exec(relative(base, file))?.[0].replace(/\.ts$/, '') ?? '';
  const isInside = (file: string): boolean => file.startsWith(`${base}/`) && !apart.includes(roomOf(file));
  const heightOf = (file: string): number => -steps.findIndex((rooms) => rooms.includes(roomOf(file)));
  const isAllowed = (file: string, other: string): boolean =>
    roomOf(file) === roomOf(other) ||
    heightOf(other) < heightOf(file) ||
    (siblings && heightOf(other) === heightOf(file));
  const wrong = [...imports].flatMap(([file, imported]) =>
    imported
      .filter((other) => isInside(file) && isInside(other) && !isAllowed(file, other))
      .map((other) => `${file} imports ${other}`),
  );
  assert.deepEqual(wrong, []);
  const rooms = new Set([...imports.keys()].filter(isInside).map(roomOf));
  assert.deepEqual([...rooms].sort(), steps.flat().sort());
}

test('a layer imports none that is above it', () => {
  // What is made from the schemas imports nothing, and the files beside the layers put them together.
  const files = [...imports.keys()].flatMap((file) => /^src\/([^/]+)\.ts$/.exec(file)?.[1] ?? []);
  const steps = readOrder(/A layer knows [^]*?\n {4}(.*→.*)\n/);
  checkOrder({ base: 'src', steps, siblings: true, apart: ['generated', ...files] });
});

for (const layer of ['vduse', 'sim']) {
  test(`a room of src/${layer} imports none that is above it or beside it`, () => {
    const steps = readOrder(new RegExp(`^ {4}src/${layer}: (.*)$`, 'm'));
    checkOrder({ base: `src/${layer}`, steps, siblings: false });
  });
}
