/** The README's tour and its example: every command is run, and prints what the README says. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkoutRoot } from '../../lab/cache.js';
import { json } from '../support/command-line.js';
import { exampleLines, readExamples } from '../support/examples.js';
import { RunningExample } from '../support/kernel/lab/examples.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { sh } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE, ...SIMULATORS);

const readme = readFileSync(join(checkoutRoot, 'README.md'), 'utf8');

test("the README's tour", async () => {
  await sh('mount -t tmpfs none /srv');
  mkdirSync('/tmp/tour');
  const tour = readExamples(exampleLines(readme, 'A tour'));
  assert.ok(tour.length >= 35, `${tour.length} commands`);
  const watching: RunningExample[] = [];
  for (const example of tour) {
    const running = new RunningExample(example, '/tmp/tour');
    if (/ monitor\b/.test(example.command)) {
      watching.push(running);
      await running.watches();
    } else {
      await running.finish();
    }
  }
  for (const running of watching) await running.finish();
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await sh(`vdpa dev del ${name}`);
});

test("the README's example for programs", async () => {
  const code = exampleLines(readme, 'From a program').join('\n');
  const library = new URL('../../src/index.js', import.meta.url).href;
  const runnable = code.replace("from 'vdpa'", `from '${library}'`);
  assert.notEqual(runnable, code);
  const file = '/tmp/readme.mjs';
  writeFileSync(file, runnable);
  await import(pathToFileURL(file).href);
  assert.deepEqual(await json('dev show'), { dev: {} });
});
