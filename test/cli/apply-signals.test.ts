/** `vdpa apply` as a process: signals, what it reports and when, and concurrent runs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { vdpa, type Outcome } from '../support/command-line.js';
import { program, start as startProgram, type Running } from '../support/simulating-program.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-signals-'));
const file = join(folder, 'state.json');
const env = { VDPA_SIM_STATE: join(folder, 'sim.json') };

after(() => {
  rmSync(folder, { recursive: true });
});

const sim = (line: string): Promise<Outcome> => vdpa(`--sim ${line}`, { env });

beforeEach(async () => {
  assert.equal((await sim('sim reset')).status, 0);
  await sim('dev add mgmtdev vdpasim_net name foo0 mtu 1500');
  const names = ['foo1', 'foo0', 'foo2'];
  const devices = names.map((name) => ({ name, mgmtdev: 'vdpasim_net', ...(name === 'foo0' && { mtu: 9000 }) }));
  writeFileSync(file, JSON.stringify({ version: 1, devices }));
});

/** Runs a line; what a fault delays is under way when the line before it is told. */
const start = (line: string, faults = ''): Running => startProgram(line, { ...env, VDPA_SIM_FAULTS: faults });

/** Waits until a device is deleted and another is about to take its place. */
async function untilGone(name: string): Promise<void> {
  while ((await sim(`dev show ${name}`)).status === 0) await setTimeout(5);
}

/** The deletion is done, but answered late. */
const delayed = 'dev del device foo0 delay 1500';

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  test(`${signal} between delete and add: the change is completed, no other is started, and that is reported`, async () => {
    const running = start(`apply ${file}`, delayed);
    // Reported as soon as it is made, while the next one is in progress.
    await running.told('+ foo1 mgmtdev vdpasim_net\n');
    await untilGone('foo0');
    running.kill(signal);
    assert.deepEqual(await running.ended, {
      status: 128 + number,
      stdout:
        '+ foo1 mgmtdev vdpasim_net\n! foo0 mtu 1500 -> 9000\n+ foo2 mgmtdev vdpasim_net  (not started)\n' +
        '2 of 3 changes made; run the command again to continue.\n',
      stderr: `Interrupted by ${signal}: a change in progress was completed, no other was started.\n`,
    });
    assert.match((await sim(`dev config show foo0`)).stdout, /mtu 9000/);
    assert.equal((await sim(`apply ${file}`)).stdout, '+ foo2 mgmtdev vdpasim_net\n1 change made.\n');
  });
}

test('a signal during a failing change: what the change removed is still restored', async () => {
  const running = start(`apply ${file}`, `${delayed}; dev add device foo0 errno EIO times 1`);
  await running.told('+ foo1');
  await untilGone('foo0');
  running.kill('SIGINT');
  const { status, stderr } = await running.ended;
  assert.equal(status, 130);
  assert.match(stderr, /^kernel answers: Input\/output error\nfoo0 was restored\.\nInterrupted by SIGINT/);
  assert.match((await sim('dev config show foo0')).stdout, /mtu 1500/);
});

test('a signal ends a batch too', async () => {
  const batch = join(folder, 'batch');
  writeFileSync(batch, `apply ${file}\ndev add mgmtdev vdpasim_net name bar0\n`);
  const running = start(`-f -b ${batch}`, delayed);
  await untilGone('foo0');
  running.kill('SIGTERM');
  assert.equal((await running.ended).status, 143);
  assert.match((await sim('dev show bar0')).stderr, /device not found/);
});

test('two at the same time: the second waits, says for which process, and finds nothing left to change', async () => {
  const first = start(`apply ${file}`, delayed);
  await first.told('+ foo1');
  const second = start(`apply ${file}`);
  await second.told('is changing devices; waiting for it to finish.');
  const [one, other] = await Promise.all([first.ended, second.ended]);
  assert.match(one.stdout, /\n3 changes made\.\n$/);
  assert.deepEqual([other.status, other.stdout], [0, 'Nothing to change.\n']);
  assert.match(other.stderr, /^Process \d+ is changing devices; waiting for it to finish\.\n$/);
});

test('a closed standard output does not stop it halfway', async () => {
  const child = spawn('bash', ['-c', `"$@" | head -n 1`, 'bash', process.execPath, program, '--sim', 'apply', file], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: 'ignore',
  });
  await once(child, 'close');
  assert.equal((await sim(`apply ${file}`)).stdout, 'Nothing to change.\n');
});
