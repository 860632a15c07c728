/** `vdpa apply`: signals, what is told when, and others at the same time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import { Simulation } from '../../src/sim/simulation.js';
import { VDPA_CMD_DEV_DEL } from '../../src/vdpa/uapi.js';
import { vdpa, type Outcome } from '../support/command-line.js';
import { program, programEnv, start } from '../support/simulating-program.js';

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

/** A line that runs in this process, and is about to be told that a device is deleted. */
interface Held {
  /** What it has printed so far. */
  readonly stdout: () => string;
  /** Lets it go on. */
  readonly release: () => void;
  readonly ended: Promise<Outcome>;
}

/** Runs a line until it has deleted a device; it is told so only once it is released. */
async function hold(line: string, faults = ''): Promise<Held> {
  const simulation = await new Simulation({ ...env, VDPA_SIM_FAULTS: faults }).open();
  const events = new EventEmitter();
  const [deleted, released] = [once(events, 'deleted'), once(events, 'released')];
  let isHeld = false;
  const transport: NetlinkTransport = {
    port: simulation.port,
    send: (datagram) => {
      // The command in the genlmsghdr after the nlmsghdr.
      isHeld = datagram[16] === VDPA_CMD_DEV_DEL;
      return simulation.send(datagram);
    },
    receive: async (timeoutMs) => {
      if (isHeld) {
        events.emit('deleted');
        await released;
      }
      return simulation.receive(timeoutMs);
    },
    close: () => simulation.close(),
  };
  const texts = { stdout: '', stderr: '' };
  const status = vdpa(`--sim ${line}`, {
    env,
    openTransport: () => transport,
    stdout: (text) => {
      texts.stdout += text;
    },
    stderr: (text) => {
      texts.stderr += text;
    },
  });
  const ended = status.then(({ status }) => ({ status, ...texts }));
  await Promise.race([deleted, ended]);
  return { stdout: () => texts.stdout, release: () => events.emit('released'), ended };
}

/** Sends this process a signal, and waits until it is delivered. */
async function interrupt(signal: NodeJS.Signals): Promise<void> {
  const delivery = new AbortController();
  process.once(signal, () => {
    delivery.abort();
  });
  process.kill(process.pid, signal);
  while (!delivery.signal.aborted) await setImmediate();
}

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  test(`${signal} between delete and add: the change is completed, no other is started, and that is reported`, async () => {
    const { stdout, release, ended } = await hold(`apply ${file}`);
    assert.match((await sim('dev show foo0')).stderr, /device not found/);
    // Told as it is made, while the next one is under way.
    assert.equal(stdout(), '+ foo1 mgmtdev vdpasim_net\n');
    // Delivered by the time of the next change at the latest.
    process.kill(process.pid, signal);
    release();
    assert.deepEqual(await ended, {
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

test('a signal during a failing change: what it removed is restored nevertheless', async () => {
  const { release, ended } = await hold(`apply ${file}`, 'dev add device foo0 errno EIO times 1');
  await interrupt('SIGINT');
  release();
  const { status, stderr } = await ended;
  assert.equal(status, 130);
  assert.match(stderr, /^kernel answers: Input\/output error\nfoo0 was restored\.\nInterrupted by SIGINT/);
  assert.match((await sim('dev config show foo0')).stdout, /mtu 1500/);
});

test('a signal ends a batch too', async () => {
  const batch = join(folder, 'batch');
  writeFileSync(batch, `apply ${file}\ndev add mgmtdev vdpasim_net name bar0\n`);
  const { release, ended } = await hold(`-f -b ${batch}`);
  await interrupt('SIGTERM');
  release();
  assert.equal((await ended).status, 143);
  assert.match((await sim('dev show bar0')).stderr, /device not found/);
});

test('two at once: the second waits, says for whom, and finds nothing left to change', async () => {
  const first = await hold(`apply ${file}`);
  const second = start(`apply ${file}`, env);
  await second.told('is changing devices; waiting for it to finish.');
  first.release();
  const [one, other] = await Promise.all([first.ended, second.ended]);
  assert.match(one.stdout, /\n3 changes made\.\n$/);
  assert.deepEqual(other, {
    status: 0,
    stdout: 'Nothing to change.\n',
    stderr: `Process ${process.pid} is changing devices; waiting for it to finish.\n`,
  });
});

test('a closed standard output does not stop it halfway', async () => {
  const child = spawn('bash', ['-c', `"$@" | head -n 1`, 'bash', process.execPath, program, '--sim', 'apply', file], {
    env: { ...programEnv, ...env },
    stdio: 'ignore',
  });
  await once(child, 'close');
  assert.equal((await sim(`apply ${file}`)).stdout, 'Nothing to change.\n');
});
