import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { VdpaMonitor } from '../../src/host/monitor.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { output } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';
import { untilWatching } from '../support/kernel/lab/until-watching.js';
import { until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(...SIMULATORS);

/** Starts a monitor and waits until it watches. It ends with the test, even if that fails. */
async function start(
  context: TestContext,
  ...options: string[]
): Promise<{ monitor: ChildProcessByStdio<null, Readable, null>; text: () => string }> {
  const monitor = spawn('vdpa', [...options, 'monitor'], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => monitor.kill('SIGKILL'));
  let text = '';
  monitor.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await untilWatching(() => text);
  text = '';
  return { monitor, text: () => text };
}

/** Ends a monitor once it has printed the last event, and returns all that it printed. Waits as long as it prints more. */
async function finish({ monitor, text }: Awaited<ReturnType<typeof start>>, last: RegExp): Promise<string> {
  const isTold = (): boolean => last.test(text().slice(-1000));
  while (!isTold()) {
    const { length } = text();
    await until('the last event is printed', () => isTold() || text().length > length);
  }
  monitor.kill();
  await new Promise((resolve) => monitor.once('close', resolve));
  return text();
}

test('a thousand devices made and deleted: not one event is missed', async (context) => {
  const monitor = await start(context, '-j');
  const client = await VdpaClient.open();
  for (let index = 0; index < 1000; index++) {
    await client.addDevice({ name: `pair${index}`, managementDevice: 'vdpasim_net' });
    await client.deleteDevice(`pair${index}`);
  }
  await client.close();
  const lines = (await finish(monitor, /"pair999".*"removed"|"removed".*"pair999"/)).trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line) as { dev: string; event: string });
  for (const kind of ['added', 'bound', 'unbound', 'removed']) {
    assert.deepEqual(
      events.filter(({ event }) => event === kind).map(({ dev }) => dev),
      Array.from({ length: 1000 }, (_, index) => `pair${index}`),
      kind,
    );
  }
  assert.ok(!events.some(({ event }) => event === 'lost'));
});

test('text, with the time before each event', async (context) => {
  const monitor = await start(context, '-t');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  await output('dev bind blk0 driver vhost');
  // The kernel has no event for the node: sysfs has its name while the device is bound.
  await until('the event is shown', () => monitor.text().includes('bound driver vhost_vdpa'));
  await output('dev del blk0');
  const time = /^Timestamp: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} \d+ usec$/;
  const lines = (await finish(monitor, /dev blk0: removed\n/)).trimEnd().split('\n');
  assert.ok(lines.every((line, index) => index % 2 === 1 || time.test(line)));
  assert.deepEqual(
    lines.filter((_, index) => index % 2 === 1),
    [
      'dev blk0: added type block mgmtdev vdpasim_blk',
      'dev blk0: changed block vda added',
      'dev blk0: bound driver virtio_vdpa',
      'dev blk0: changed block vda removed',
      'dev blk0: unbound',
      'dev blk0: bound driver vhost_vdpa vhost /dev/vhost-vdpa-0',
      'dev blk0: unbound',
      'dev blk0: removed',
    ],
  );
});

test('from the library, alongside other work on the same thread', async () => {
  const client = await VdpaClient.open();
  const monitor = await VdpaMonitor.open({ client, object: 'dev' });
  const seen: string[] = [];
  const events = (async () => {
    for await (const { event } of monitor) seen.push(event);
  })();
  // Until it waits for the kernel.
  for (let turns = 0; turns < 100; turns++) await setImmediate();
  await client.addDevice({ name: 'lib0', managementDevice: 'vdpasim_net' });
  await client.deleteDevice('lib0');
  await until('the last event is printed', () => seen.includes('removed'));
  await monitor.close();
  await events;
  assert.deepEqual(seen, ['added', 'changed', 'bound', 'changed', 'unbound', 'removed']);
  await client.close();
});

/** Whether a NETLINK_KOBJECT_UEVENT socket has dropped a message, according to its "Drops" column. */
function hasLost(): boolean {
  const rows = readFileSync('/proc/net/netlink', 'utf8').trim().split('\n').slice(1);
  return rows
    .map((row) => row.split(/\s+/))
    .some(([, protocol, , , , , , , drops]) => protocol === '15' && drops !== '0');
}

/** Filling a monitor's socket takes minutes on an emulated processor. */
const onNativeProcessor = readFileSync('/proc/cpuinfo', 'utf8').includes('User Mode Linux')
  ? {}
  : { skip: 'filling a socket takes too long on an emulated processor' };

test(
  'after lost events the differences are reported: another driver, another class, new and deleted devices',
  onNativeProcessor,
  async (context) => {
    for (const name of ['stays0', 'moved0', 'class0', 'gone0'])
      await output(`dev add mgmtdev vdpasim_net name ${name}`);
    const monitor = await start(context);
    monitor.monitor.kill('SIGSTOP');
    // More than the socket has room for, without any other effect.
    for (let events = 0; !hasLost(); events++) {
      assert.ok(events < 200, 'the socket has room for everything');
      for (let count = 0; count < 5000; count++) writeFileSync('/sys/class/mem/null/uevent', 'change');
    }
    await output('dev bind moved0 driver vhost');
    await output('dev del class0');
    await output('dev add mgmtdev vdpasim_blk name class0 driver vhost');
    await output('dev del gone0');
    await output('dev add mgmtdev vdpasim_net name new0 driver vhost');
    monitor.monitor.kill('SIGCONT');
    await until('everything is printed', () => monitor.text().includes('dev new0: bound'));
    await output('dev unbind new0');
    const text = await finish(monitor, /dev new0: unbound\n/);
    assert.match(text, /^.*lost/);
    const of = (name: string): string[] =>
      text
        .split('\n')
        .filter((line) => line.startsWith(`dev ${name}: `))
        .map((line) => line.slice(name.length + 6).replace(/ (?:vhost .*|netdev .* removed)$/, ''));
    assert.deepEqual(of('stays0'), []);
    assert.deepEqual(of('moved0'), ['changed', 'unbound', 'bound driver vhost_vdpa']);
    assert.deepEqual(of('class0'), [
      'changed',
      'unbound',
      'removed',
      'added type block mgmtdev vdpasim_blk',
      'bound driver vhost_vdpa',
    ]);
    assert.deepEqual(of('gone0'), ['removed']);
    assert.deepEqual(of('new0'), ['added type network mgmtdev vdpasim_net', 'bound driver vhost_vdpa', 'unbound']);
    for (const name of ['stays0', 'moved0', 'class0', 'new0']) await output(`dev del ${name}`);
  },
);

test('leaving the loop with break closes its socket', async () => {
  const sockets = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket');
      } catch {
        return false;
      }
    }).length;
  const client = await VdpaClient.open();
  const before = sockets();
  for (let index = 0; index < 5; index++) {
    const monitor = await VdpaMonitor.open({ client, object: 'dev' });
    await client.addDevice({ name: 'loop0', managementDevice: 'vdpasim_net' });
    for await (const { event } of monitor) if (event === 'added') break;
    await client.deleteDevice('loop0');
  }
  assert.equal(sockets(), before);
  await client.close();
});
