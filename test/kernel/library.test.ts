import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { json } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';

const { test } = testsWith(...SIMULATORS);

/** This file is in build/test/kernel, or in a folder next to the sources that is built in the same way. */
const sources = new URL('../../src/', import.meta.url);
const page = fileURLToPath(new URL('../../../docs/library.md', import.meta.url));

/** The examples by their headings. None contains a type, so each is valid JavaScript. */
const examples = Array.from(
  readFileSync(page, 'utf8').matchAll(/\n## ([^\n]+)\n[^#]*?```ts\n([^]*?)```/g),
  ([, heading = '', code = '']) => ({ heading, code }),
);

test('there are examples', () => {
  assert.equal(examples.length, 8);
});

for (const [index, { heading, code }] of examples.entries()) {
  test(`the example of "${heading}" runs and leaves nothing behind`, async () => {
    const file = `/tmp/example-${index}.mjs`;
    const runnable = code.replaceAll(
      /from 'vdpa(\/\w+)?'/g,
      (_, part = '') => `from '${sources.href}${String(part).slice(1)}${part === '' ? '' : '/'}index.js'`,
    );
    assert.notEqual(runnable, code);
    writeFileSync(file, runnable);
    await import(file);
    assert.deepEqual(await json('dev show'), { dev: {} });
  });
}
