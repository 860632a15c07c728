/** The README's tour and its example: every command is run, and prints what stands there. */
import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { pathToFileURL } from 'node:url';
import { checkoutRoot } from '../../lab/cache.js';
import { json } from '../support/command-line.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/needs.js';
import { untilWatching } from '../support/kernel/until-watching.js';
import { sh, until } from '../support/kernel/vduse.js';

const { test } = testsWith(VDUSE, ...SIMULATORS);

const readme = readFileSync(join(checkoutRoot, 'README.md'), 'utf8');
const section = (heading: string): string =>
  new RegExp(`\\n## ${heading}\\n([^]*?)\\n## `).exec(readme)?.[1] ?? assert.fail(`no section "${heading}"`);

interface Step {
  readonly command: string;
  /** What stands below it. */
  readonly output: string[];
}

/** The commands of the tour. Those of `vdpa` alone: what openmetrics prints begins with "#", too. */
function readTour(): Step[] {
  const steps: Step[] = [];
  for (const line of section('A tour').split('\n')) {
    const text = /^ {4}(.*)$/.exec(line)?.[1];
    if (text === undefined) continue;
    if (text.startsWith('# vdpa ')) steps.push({ command: text.slice(2), output: [] });
    else steps.at(-1)?.output.push(text.trimEnd());
  }
  return steps;
}

/** What is another each time: times, process ids and ports, addresses of messages, counts of what the machine reads. */
const volatile: readonly (readonly [RegExp, string])[] = [
  [/^Timestamp: .* usec$/, 'Timestamp: \\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4} \\d+ usec'],
  [/ (pid|port|requests|bytes_in|bytes_out|interrupts) \d+/g, ' $1 \\d+'],
];

/** Matches what a command prints: the lines below it, "…" for some that were left out. */
function pattern(output: readonly string[]): RegExp {
  const lines = output.map((line) => {
    if (line.trim() === '…') return '(?:.*\\n)*?';
    let escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    for (const [what, any] of volatile) escaped = escaped.replace(what, any);
    return `${escaped} *\\n`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

/** A command that goes on until it is ended. */
const isEndless = (command: string): boolean => / monitor\b| -w /.test(command);

class Running {
  readonly #step: Step;
  readonly #child;
  #printed = '';

  constructor(step: Step) {
    this.#step = step;
    this.#child = spawn('bash', ['-c', `exec ${step.command}`], {
      cwd: '/tmp/tour',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#printed += stripVTControlCharacters(text)));
    }
  }

  /** Waits until a monitor has begun to watch, and forgets what it has told until then. */
  async watches(): Promise<void> {
    await untilWatching(() => this.#printed);
    this.#printed = '';
  }

  /** Waits until all is printed that the README has, and of a command that ends for its end. */
  async finish(): Promise<void> {
    const { command, output } = this.#step;
    const closed = new Promise<void>((resolve) =>
      this.#child.once('close', () => {
        resolve();
      }),
    );
    if (isEndless(command)) {
      await until(`"${command}" prints what the README has:\n${output.join('\n')}`, () => this.#fits());
      this.#child.kill();
    }
    await closed;
    assert.ok(this.#fits(), `${command}\n${this.#printed}\nis not as in the README:\n${output.join('\n')}`);
  }

  #fits(): boolean {
    return pattern(this.#step.output).test(this.#printed);
  }
}

test("the README's tour", async () => {
  await sh('mount -t tmpfs none /srv');
  await sh('truncate -s 64M /srv/disk0.img');
  mkdirSync('/tmp/tour');
  const steps = readTour();
  assert.ok(steps.length >= 35, `${steps.length} commands`);
  const watching: Running[] = [];
  for (const step of steps) {
    const running = new Running(step);
    if (/ monitor\b/.test(step.command)) {
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
  const code = section('From a program')
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .join('\n');
  const library = new URL('../../src/index.js', import.meta.url).href;
  const runnable = code.replace("from 'vdpa'", `from '${library}'`);
  assert.notEqual(runnable, code);
  const file = '/tmp/readme.mjs';
  writeFileSync(file, runnable);
  await import(pathToFileURL(file).href);
  assert.deepEqual(await json('dev show'), { dev: {} });
});
