import '../lab/inside.js';
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { VduseServer } from '../../../../src/vduse/server.js';
import { attribute, netDevice, transfer, twoNamespaces } from '../servers/net-device.js';
import { watchProcessors } from '../lab/processors.js';
import { bash, sh, until } from '../servers/vduse.js';

const PROCESSORS = Array.from({ length: availableParallelism() }, (_, index) => index);
const echo = fileURLToPath(new URL('packet-echo.js', import.meta.url));

/** Starts to watch a device. @returns a function to call at the end, which checks for errors and reports the work done */
function watch(context: TestContext, server: VduseServer): (work: string) => void {
  const total = (counter: 'requests' | 'errors'): number =>
    server.status().queues.reduce((sum, queue) => sum + queue[counter], 0);
  // Packets that the interface sends before the tap is up count as errors.
  const before = { requests: total('requests'), errors: total('errors') };
  const processors = watchProcessors();
  return (work) => {
    const shares = processors();
    const errors = total('errors') - before.errors;
    const busy = shares.map((share) => `${Math.round(share * 100)} %`).join(' and ');
    context.diagnostic(
      `${work}, ${total('requests') - before.requests} requests, ${errors} errors, processors busy ${busy}`,
    );
    assert.equal(errors, 0);
    for (const share of shares) assert.ok(share > 0.3, `the processors were busy ${busy} of the time`);
  };
}

/** Frames from a program on each processor to a loopback device: each comes back once, unchanged and in order. */
export async function echoFromAll(context: TestContext, seconds: number): Promise<void> {
  const { netdev, server } = await netDevice(context, { name: 'smp', backend: { type: 'loopback' } });
  await sh(`ip link set ${netdev} up`);
  await until('the carrier is up', () => attribute(netdev, 'carrier') === '1');
  const watched = watch(context, server);
  const outputs = await Promise.all(
    PROCESSORS.map((processor) => sh(`taskset -c ${processor} node ${echo} ${netdev} ${processor + 1} ${seconds}`)),
  );
  const counts = outputs.map((output) => Number(/^(\d+) frames$/m.exec(output)?.[1] ?? assert.fail(output)));
  const frames = counts.reduce((sum, count) => sum + count, 0);
  const [receiving, sending] = server.status().queues;
  assert.ok(receiving && receiving.requests >= frames, JSON.stringify(receiving));
  assert.ok(sending && sending.requests >= frames, JSON.stringify(sending));
  watched(`${frames} frames sent and received`);
}

/** Files over TCP through a tap, both ways at the same time, repeatedly: each arrives unchanged. */
export async function transferBothWays(context: TestContext, seconds: number): Promise<void> {
  const file = '/tmp/smp-net';
  await bash(`head -c 20M /dev/urandom > ${file}`);
  const device = await netDevice(context, { name: 'smp', backend: { type: 'tap', ifname: 'smptap' } });
  await twoNamespaces(context, device);
  const sum = (await sh(`md5sum ${file}`)).split(' ')[0] ?? '';
  const watched = watch(context, device.server);
  const end = performance.now() + seconds * 1000;
  let files = 0;
  const again = async (from: string, to: string, address: string): Promise<void> => {
    do {
      assert.deepEqual(await transfer(from, to, address, file), [sum, sum], `${from} to ${address}`);
      files++;
    } while (performance.now() < end);
  };
  await Promise.all([again('guest', 'host', '10.1.1.2'), again('host', 'guest', 'fd00::1')]);
  watched(`${files} files of 20 MiB`);
}
