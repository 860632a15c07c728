import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../lab/cache.js';

/** Each source file, and the source files that it imports: statically or dynamically, values or types. */
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

/** The first cycle of imports, from a file back to itself. */
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

test('imports have no cycles', () => {
  assert.equal(findCircle()?.join(' → '), undefined);
});

const contributing = readFileSync(join(checkoutRoot, 'CONTRIBUTING.md'), 'utf8');

/** An order that CONTRIBUTING.md gives, from the top down. */
function readOrder(line: RegExp): string[][] {
  const text = line.exec(contributing)?.[1] ?? assert.fail(`CONTRIBUTING.md has no line like ${line.source}`);
  return text.split(' → ').map((step) => step.split(', '));
}

/** The entries of a folder that have a place in an order. */
interface Order {
  readonly base: string;
  readonly steps: readonly (readonly string[])[];
  /** Whether entries on the same step may import each other. */
  readonly siblings: boolean;
  /** Entries that have no place in it. */
  readonly apart?: readonly string[];
}

/** Checks that each step imports only lower ones, and that every entry has a step. */
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

test('a layer imports none above it', () => {
  // Code generated from the schemas imports nothing, and the files next to the layers join them.
  const files = [...imports.keys()].flatMap((file) => /^src\/([^/]+)\.ts$/.exec(file)?.[1] ?? []);
  const steps = readOrder(/A layer knows [^]*?\n {4}(.*→.*)\n/);
  checkOrder({ base: 'src', steps, siblings: true, apart: ['generated', ...files] });
});

for (const layer of ['vduse', 'sim']) {
  test(`a folder of src/${layer} imports none above or beside it`, () => {
    const steps = readOrder(new RegExp(`^ {4}src/${layer}: (.*)$`, 'm'));
    checkOrder({ base: `src/${layer}`, steps, siblings: false });
  });
}
