import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { VdpaMonitor } from '../../src/host/monitor.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { output } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/needs.js';
import { untilWatching } from '../support/kernel/until-watching.js';
import { until } from '../support/kernel/vduse.js';

const { test } = testsWith(...SIMULATORS);

/** Starts a monitor and waits until it watches. */
async function start(
  ...options: string[]
): Promise<{ monitor: ChildProcessByStdio<null, Readable, null>; text: () => string }> {
  const monitor = spawn('vdpa', [...options, 'monitor'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  monitor.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await untilWatching(() => text);
  text = '';
  return { monitor, text: () => text };
}

/** Ends a monitor when it has told what comes last, and gives all that it told. */
async function finish({ monitor, text }: Awaited<ReturnType<typeof start>>, last: RegExp): Promise<string> {
  await until('the last event is told', () => last.test(text()));
  monitor.kill();
  await new Promise((resolve) => monitor.once('close', resolve));
  return text();
}

test('a thousand devices made and deleted: not one event is missed', async () => {
  const monitor = await start('-j');
  const client = await VdpaClient.open();
  for (let index = 0; index < 1000; index++) {
    await client.addDevice({ name: `pair${index}`, managementDevice: { name: 'vdpasim_net' } });
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

test('text, with the time before each event', async () => {
  const monitor = await start('-t');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  await output('dev bind blk0 driver vhost');
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

test('from the library, beside other work of the same thread', async () => {
  const client = await VdpaClient.open();
  const monitor = await VdpaMonitor.open({ client, object: 'dev' });
  const seen: string[] = [];
  const events = (async () => {
    for await (const { event } of monitor) seen.push(event);
  })();
  // Until it waits for the kernel.
  for (let turns = 0; turns < 100; turns++) await setImmediate();
  await client.addDevice({ name: 'lib0', managementDevice: { name: 'vdpasim_net' } });
  await client.deleteDevice('lib0');
  await until('the last event is told', () => seen.includes('removed'));
  await monitor.close();
  await events;
  assert.deepEqual(seen, ['added', 'changed', 'bound', 'changed', 'unbound', 'removed']);
  await client.close();
});
