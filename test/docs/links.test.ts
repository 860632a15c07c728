import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';

const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...namesIn('docs').map((name) => `docs/${name}`)];

function namesIn(folder: string): string[] {
  return readdirSync(join(checkoutRoot, folder));
}

/** A page without its examples, in which brackets mean other things. */
function proseOf(page: string): string {
  return readFileSync(join(checkoutRoot, page), 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
}

/** The anchors of a page's headings, as code hosting sites make them. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

for (const page of pages) {
  test(`${page}: its links exist`, () => {
    for (const [, link = ''] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      assert.ok(existsSync(join(checkoutRoot, target)), link);
      if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), link);
    }
  });

  test(`${page}: the project files that it names exist`, () => {
    const folders = ['bench', 'completions', 'contrib', 'docs', 'lab', 'man', 'schemas', 'scripts', 'src', 'test'];
    const paths = proseOf(page).matchAll(new RegExp(`(?<![\\w./-])(?:${folders.join('|')})/[\\w./@-]*\\w`, 'g'));
    for (const [path] of paths) {
      // A name in capitals is a placeholder.
      if (!/\b[A-Z]+\b(?!\.md)/.test(path)) assert.ok(existsSync(join(checkoutRoot, path)), path);
    }
  });
}

test('every page of docs/ is linked to from another', () => {
  const linked = new Set(
    pages.flatMap((page) =>
      [...proseOf(page).matchAll(/\]\(([^)\s#]+)/g)].map(([, link = '']) => join(dirname(page), link)),
    ),
  );
  assert.deepEqual(
    pages.filter((page) => page.startsWith('docs/') && !linked.has(page)),
    [],
  );
});
