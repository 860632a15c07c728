import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { commandsUnder } from '../../src/cli/dispatch.js';
import { optionTable } from '../../src/cli/option-table.js';
import { tree } from '../../src/command-tree.js';
import DevAdd from '../../src/commands/dev/add.js';
import VduseServe from '../../src/commands/vduse/serve.js';
import { needs } from '../support/kernel/lab/needs.js';

const pages = readdirSync(join(checkoutRoot, 'man'));
const read = (page: string): string => readFileSync(join(checkoutRoot, 'man', page), 'utf8');

for (const page of pages) {
  test(`mandoc accepts ${page}`, needs('mandoc'), () => {
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', join(checkoutRoot, 'man', page)], { encoding: 'utf8' });
    // It searches for the other pages where they are installed.
    const complaints = stdout.split('\n').filter((line) => !line.includes('referenced manual not found: Xr vdpa'));
    assert.equal(complaints.join('\n'), '');
  });

  test(`${page} refers to existing pages`, () => {
    for (const [, name = '', section = ''] of read(page).matchAll(/^\.Xr (\S+) (\d)/gm)) {
      assert.ok(pages.includes(`${name}.${section}`), name);
    }
  });
}

test('npm installs every page', () => {
  const { man } = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as { man: string[] };
  assert.deepEqual([...man].sort(), pages.map((page) => `man/${page}`).sort());
});

/** The words of a usage line, with brackets as separate words. */
function words(usage: string): string {
  return usage
    .replaceAll(/[[\]{}|]/g, ' $& ')
    .trim()
    .replaceAll(/\s+/g, ' ');
}

/** A command's usage, one line for each form. */
function usages(lines: readonly string[]): string[] {
  const whole: string[] = [];
  for (const line of lines) {
    if (line.startsWith('vdpa ')) whole.push(line);
    else whole.push(`${whole.pop() ?? ''} ${line}`);
  }
  return whole.map(words);
}

/** The synopsis of a page, one line for each form, in the format of usages. */
function synopsis(page: string): string[] {
  const section = /^\.Sh SYNOPSIS\n([^]*?)^\.Sh /m.exec(read(page))?.[1] ?? '';
  const ways = section.split(/^\.Nm vdpa$/m).slice(1);
  return ways.map((way) => words(`vdpa ${way.trim().split('\n').map(macroText).join(' ')}`));
}

/** The text that a line of mdoc macros stands for. */
function macroText(line: string): string {
  const [macro = '', ...rest] = line.replace(/^\./, '').split(' ');
  const inner = (): string => (rest.length === 0 ? '' : macroText(rest.join(' ')));
  switch (macro) {
    case 'Op':
      return `[ ${inner()} ]`;
    case 'Brq':
      return `{ ${inner()} }`;
    case 'Bro':
      return '{';
    case 'Brc':
      return '}';
    case 'Fl':
      return `-${inner()}`;
    case 'Cm':
    case 'Ar':
      return inner();
    default:
      return [macro, inner()].join(' ').trim();
  }
}

test('each page has the synopses of its commands, and no others', async () => {
  for (const child of tree.children) {
    const own = `vdpa-${child.names[0]}.8`;
    const page = existsSync(join(checkoutRoot, 'man', own)) ? own : 'vdpa.8';
    const commands = 'children' in child ? await commandsUnder(child) : [(await child.load()).default];
    const expected = commands.flatMap(({ usage }) => usages(usage));
    const pattern = new RegExp(`^vdpa (\\[ [^\\]]*\\] )?${child.names[0]} `);
    assert.deepEqual(new Set(synopsis(page).filter((way) => pattern.test(`${way} `))), new Set(expected), page);
    if (page === own) assert.equal(synopsis(page).length, expected.length, page);
  }
});

test('vdpa.8 describes every option and object', () => {
  const page = read('vdpa.8');
  for (const { name, short } of optionTable) {
    const macros = short === undefined ? `Fl -${name}` : `Fl ${short} , Fl -${name}`;
    assert.match(page, new RegExp(`^\\.It ${macros}( |$)`, 'm'));
  }
  for (const {
    names: [object],
  } of tree.children)
    assert.match(page, new RegExp(`^\\.It Cm ${object}$`, 'm'));
  for (const name of pages) {
    if (name !== 'vdpa.8') assert.ok(page.includes(`.Xr ${name.replace(/\.(\d)$/, ' $1')}`), name);
  }
});

test('vdpa.8 lists the output formats, and the commands that have them', async () => {
  const section = /^\.It Fl o [^]*?^\.El$/m.exec(read('vdpa.8'))?.[0] ?? '';
  const told = [...section.matchAll(/^\.Cm (.+?)(?: [,.])?$/gm)].map(([, words]) => words);
  const expected = (await commandsUnder(tree)).flatMap(({ outputs, usage }) =>
    outputs.length === 0 ? [] : [...outputs, /^vdpa (?:\[ .* \] )?([a-z ]*[a-z])/.exec(usage[0] ?? '')?.[1]],
  );
  assert.deepEqual(new Set(told), new Set(expected));
});

test('every environment variable that the program reads is documented', () => {
  const told = pages.flatMap((page) => [...read(page).matchAll(/^\.It Ev (\S+)$/gm)].map(([, name]) => name));
  const sources = readdirSync(join(checkoutRoot, 'src'), { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(checkoutRoot, 'src', name), 'utf8'))
    .join('\n');
  const indexed = sources.matchAll(/\b(?:env|environment)\['([A-Z_]+)'\]/g);
  const named = sources.matchAll(/'(VDPA_(?!ATTR_|CMD_)[A-Z_]+)'/g);
  const looked = new Set([...indexed, ...named].map(([, name = '']) => name));
  // These connect servers with the processes that start them.
  const internal = ['VDPA_READY_FD', 'VDPA_VDUSE_SUPERVISOR'];
  // These have the same meaning for every program.
  const usual = ['HOME', 'PATH'];
  for (const name of [...internal, ...usual]) looked.delete(name);
  assert.deepEqual([...new Set(told)].sort(), [...looked].sort());
});

test('vdpa-dev.8 describes every argument of dev add, and vdpa-vduse-options.7 those for servers', () => {
  const text = ['vdpa-dev.8', 'vdpa-vduse-options.7']
    .map((page) => read(page).replace(/^[^]*^\.Sh DESCRIPTION$/m, ''))
    .join('');
  for (const keyword of Object.keys(DevAdd.keywords)) {
    assert.match(text, new RegExp(`^\\.(It )?Cm (dev add )?${keyword}( |$)`, 'm'), keyword);
  }
});

test('vdpa-vduse-options.7 describes every argument of vduse serve that is about the device', () => {
  const ofTheCommand = ['name', 'force'];
  for (const keyword of Object.keys(VduseServe.keywords).filter((word) => !ofTheCommand.includes(word))) {
    assert.match(read('vdpa-vduse-options.7'), new RegExp(`^\\.It Cm ${keyword}( |$)`, 'm'), keyword);
  }
});

test('vdpa-state.5 describes every key of a state file, and no other', () => {
  const schema = (name: string): object =>
    JSON.parse(readFileSync(join(checkoutRoot, `schemas/${name}.schema.json`), 'utf8')) as object;
  const told = [...read('vdpa-state.5').matchAll(/^\.It Cm (\S+)$/gm)].map(([, key = '']) => key);
  const keys = [...keysOf(schema('state')), ...keysOf(schema('vduse-server'))];
  assert.deepEqual(told.sort(), keys.sort());
});

/** The keys of all objects that a schema describes. */
function keysOf(schema: object): string[] {
  return Object.entries(schema).flatMap(([word, value]: [string, unknown]) => {
    if (typeof value !== 'object' || value === null) return [];
    return [...(word === 'properties' ? Object.keys(value) : []), ...keysOf(value)];
  });
}
