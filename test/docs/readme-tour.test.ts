// The README's tour on a simulated machine: every command prints what it prints on a real one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { checkoutRoot } from '../../lab/cache.js';
import { exampleLines, isEndless, outputPattern, readExamples, type Example } from '../support/examples.js';
import { program, programEnv, start, type Running } from '../support/simulating-program.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-readme-'));
after(() => {
  rmSync(folder, { recursive: true });
});
mkdirSync(join(folder, 'bin'));
symlinkSync(program, join(folder, 'bin/vdpa'));
const env = {
  ...programEnv,
  PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
  VDPA_SIM: '1',
  VDPA_SIM_STATE: join(folder, 'sim.json'),
};
const patienceMs = 60_000;

/** Runs a line to its end. @returns what it printed on both streams */
function run(line: string): string {
  const { stdout } = spawnSync('bash', ['--norc', '-c', `${line} 2>&1`], { cwd: folder, env, encoding: 'utf8' });
  return stdout;
}

/** Waits for something that a program prints. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!holds()) {
    assert.ok(performance.now() < end, what);
    await sleep(10);
  }
}

/** Starts a line that runs until it is stopped; a monitor once it watches. @returns it, and what it printed until then */
async function watch(line: string): Promise<{ readonly running: Running; readonly before: number }> {
  const running = start(line.replace(/^vdpa /, ''), env);
  if (/ monitor\b/.test(line)) {
    // It reports nothing, or not everything, about a device added before it watches.
    let probes = 0;
    const hasReported = (): boolean => running.stdout().includes(`dev probe${probes}: removed\n`);
    while (!hasReported()) {
      assert.ok(++probes < 60, 'the monitor watches');
      run(`vdpa dev add name probe${probes} mgmtdev vdpasim_blk && vdpa dev del probe${probes}`);
      for (let wait = 0; wait < 100 && !hasReported(); wait++) await sleep(10);
    }
  }
  return { running, before: running.stdout().length };
}

test("the README's tour", async () => {
  // No program serves a device, unlike on the default machine.
  writeFileSync(join(folder, 'machine.json'), '{ "mgmtdev": { "vdpasim_net": {}, "vdpasim_blk": {}, "vduse": {} } }');
  assert.equal(run('vdpa sim init machine.json'), '');
  const tour = readExamples(exampleLines(readFileSync(join(checkoutRoot, 'README.md'), 'utf8'), 'A tour'));
  assert.ok(tour.length >= 35, `${tour.length} commands`);
  const monitors: (Example & Awaited<ReturnType<typeof watch>>)[] = [];
  for (const { command, output } of tour) {
    // A simulated server is no process.
    const expected = outputPattern(output.map((line) => line.replace(/ server vdpa pid \d+/, ' server vdpa')));
    if (/ monitor\b/.test(command)) {
      monitors.push({ command, output, ...(await watch(command)) });
    } else if (isEndless(command)) {
      const { running } = await watch(command);
      await until(command, () => expected.test(running.stdout()));
      running.kill('SIGTERM');
      await running.ended;
    } else {
      assert.match(stripVTControlCharacters(run(command)), expected, command);
    }
  }
  assert.equal(monitors.length, 1);
  for (const { command, output, running, before } of monitors) {
    await until(command, () => outputPattern(output).test(running.stdout().slice(before)));
    running.kill('SIGTERM');
    await running.ended;
  }
});
