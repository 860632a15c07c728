import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NetlinkError } from '../../src/netlink/error.js';
import { Simulation } from '../../src/sim/simulation.js';
import { SimulatedUevents } from '../../src/sim/uevents.js';
import { appendUevents, UeventLogReader, ueventLogPath } from '../../src/sim/state/uevent-log.js';
import { Errno } from '../../src/sys/errno.js';
import { parseUevent } from '../../src/uevent/uevent.js';
import { vdpa } from '../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-uevents-'));
after(() => {
  rmSync(folder, { recursive: true });
});

/** A machine in a new file, and its command line. */
function machine(name: string) {
  const env = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, `${name}.json`) };
  const run = async (line: string): Promise<string> => {
    const { status, stdout, stderr } = await vdpa(line, { env });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  return { env, run, store: new Simulation(env).store };
}

/** What an event says, in short. */
async function receive(socket: SimulatedUevents): Promise<string> {
  const { action, devpath } = parseUevent(await socket.receive(10_000));
  return `${action} ${devpath}`;
}

test('events of other users of the file arrive in the order of the kernel', async () => {
  const { run, store } = machine('order');
  await run('dev add mgmtdev vdpasim_blk name old0');
  const socket = new SimulatedUevents(store);
  const first = receive(socket);
  await run('dev add mgmtdev vdpasim_net name foo0');
  const events = [await first];
  for (let count = 1; count < 6; count++) events.push(await receive(socket));
  assert.deepEqual(events, [
    'add /devices/foo0',
    'add /devices/foo0/virtio1',
    'add /devices/foo0/virtio1/net/eth0/queues/tx-0',
    'add /devices/foo0/virtio1/net/eth0',
    'bind /devices/foo0/virtio1',
    'bind /devices/foo0',
  ]);
  await run('dev bind foo0 driver vhost');
  events.length = 0;
  for (let count = 0; count < 6; count++) events.push(await receive(socket));
  assert.deepEqual(events, [
    'remove /devices/foo0/virtio1/net/eth0/queues/tx-0',
    'remove /devices/foo0/virtio1/net/eth0',
    'unbind /devices/foo0/virtio1',
    'remove /devices/foo0/virtio1',
    'unbind /devices/foo0',
    'bind /devices/foo0',
  ]);
  await assert.rejects(socket.receive(1), (error) => error instanceof NetlinkError && error.errno === Errno.ETIMEDOUT);
  socket.close();
  await assert.rejects(socket.receive(1), NetlinkError);
});

test('a rebooted machine and a log that was replaced are reported as lost events', async () => {
  const { run, store } = machine('lost');
  await run('dev add mgmtdev vdpasim_net name foo0');
  const socket = new SimulatedUevents(store);
  await run('sim reset');
  await run('dev add mgmtdev vdpasim_net name foo1');
  const isLost = (error: unknown): boolean => error instanceof NetlinkError && error.errno === Errno.ENOBUFS;
  await assert.rejects(socket.receive(10_000), isLost);
  assert.equal(await receive(socket), 'add /devices/foo1');
  socket.close();
});

test('the log does not grow without limit, and readers notice nothing', () => {
  const path = ueventLogPath(join(folder, 'grown.json'));
  const reader = new UeventLogReader(path);
  const long = 'x'.repeat(10_000);
  let read = 0;
  for (let count = 0; count < 500; count++) {
    appendUevents(path, [[long, `SEQNUM=${count}`]]);
    for (const [, number] of reader.read()) assert.equal(number, `SEQNUM=${read++}`);
  }
  assert.equal(read, 500);
  assert.ok(statSync(path).size <= 1 << 20);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  reader.close();
});

test('monitor prints in one process what others do', async () => {
  const { env, run } = machine('monitor');
  const program = fileURLToPath(new URL('../../../bin/vdpa.js', import.meta.url));
  const monitor = spawn(process.execPath, [program, 'monitor', 'dev'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  monitor.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const printed = async (wanted: RegExp, step: () => Promise<unknown>): Promise<void> => {
    const deadline = performance.now() + 30_000;
    while (!wanted.test(text)) {
      assert.ok(performance.now() < deadline, text);
      await step();
    }
  };
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
  try {
    // Until it watches, what happens is not printed.
    await printed(/removed/, async () => {
      await run('dev add mgmtdev vdpasim_net name probe');
      await run('dev del probe');
      await pause();
    });
    await run('dev add mgmtdev vdpasim_blk name last0');
    await printed(/last0/, pause);
    text = text.slice(text.indexOf('last0'));
    await run('dev add mgmtdev vdpasim_net name foo0');
    await run('dev bind foo0 driver vhost');
    await run('dev del foo0');
    await printed(/foo0: removed/, pause);
  } finally {
    monitor.kill('SIGKILL');
  }
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .filter((line) => line.includes('foo0')),
    [
      'dev foo0: added type network mgmtdev vdpasim_net',
      'dev foo0: changed netdev eth0 added',
      'dev foo0: bound driver virtio_vdpa',
      'dev foo0: changed netdev eth0 removed',
      'dev foo0: unbound',
      'dev foo0: bound driver vhost_vdpa vhost /dev/vhost-vdpa-0',
      'dev foo0: unbound',
      'dev foo0: removed',
    ],
  );
});
