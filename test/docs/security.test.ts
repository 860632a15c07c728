import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The tests that docs/security.md names: after each "Tests:", up to the full stop at the end. */
function namedTests(): string[] {
  const text = readFileSync(`${root}docs/security.md`, 'utf8').replace(/\s+/g, ' ');
  return [...text.matchAll(/Tests: ("(?:.*?)")\.(?= |$)/g)].flatMap(([, list = '']) =>
    list.slice(1, -1).split(/", ?"/),
  );
}

test('docs/security.md names tests that exist', () => {
  const sources = readdirSync(`${root}test`, { encoding: 'utf8', recursive: true })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => readFileSync(`${root}test/${path}`, 'utf8').replace(/\s+/g, ' '))
    .join(' ');
  const named = namedTests();
  assert.ok(named.length >= 35, `${named.length} tests are named`);
  const missing = named.filter((name) => !sources.includes(`'${name}'`));
  // The names of some tests are composed of what they test.
  const composed = missing.filter((name) => {
    const [what = '', result = ''] = name.split(': ');
    return !(sources.includes(`'${what}'`) && sources.includes(`: ${result}\``));
  });
  assert.deepEqual(composed, []);
});
