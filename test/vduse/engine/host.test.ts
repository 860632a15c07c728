import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { allowedProcessors } from '../../../src/sys/affinity.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { DataPlaneHost, threadCount } from '../../../src/vduse/engine/host.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';
import type { QueueSetup } from '../../../src/vduse/engine/queue.js';
import { testPlaneWord, type TestPlaneOptions } from '../../support/test-plane.js';

/** A file that answers every request with EINVAL, as that of a device without a driver does. */
const rejecting = openSync('/dev/urandom', 'r');

let words: Int32Array<SharedArrayBuffer>;
let counters: SharedArrayBuffer;
/** The queues whose kick was set up, and the eventfd of each. */
let kicks: (readonly [number, number])[];
let hosts: DataPlaneHost[];

beforeEach(() => {
  words = new Int32Array(new SharedArrayBuffer(testPlaneWord.length * 4));
  counters = QueueCounters.allocate(4);
  kicks = [];
  hosts = [];
});

afterEach(async () => {
  for (const host of hosts) await host.exit();
});

async function start(
  options: Partial<TestPlaneOptions> = {},
  threads = 2,
  module = 'test-plane.js',
  cpus?: readonly number[],
) {
  const host = await DataPlaneHost.start({
    device: {
      fd: rejecting,
      apiVersion: 0n,
      setKick: (queue, kick) => void kicks.push([queue, kick]),
      isBroken: () => false,
    },
    counters,
    module: {
      module: new URL(`../../support/${module}`, import.meta.url).href,
      options: { words: words.buffer, ...options },
    },
    queueCount: 4,
    queueSize: 8,
    packed: false,
    threads,
    queueGroup: 2,
    cpus,
    inflight: undefined,
  });
  hosts.push(host);
  return host;
}

const count = (word: keyof typeof testPlaneWord): number => Atomics.load(words, testPlaneWord[word]);

const setup = (index: number): QueueSetup => ({
  index,
  position: 5,
  resume: false,
  layout: {
    packed: false,
    size: 8,
    descriptorArea: 0x1000,
    driverArea: 0x2000,
    deviceArea: 0x3000,
    eventIndex: false,
    indirect: false,
    maxChain: 8,
  },
});

/** The processors of each thread of this process. */
function boundTo(): string[] {
  return readdirSync('/proc/self/task').map(
    (thread) =>
      /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))?.[1] ?? '',
  );
}

test('as many threads as queues, up to the processors that they may run on, or as is asked for', () => {
  assert.equal(threadCount({}, 1000), availableParallelism());
  assert.equal(threadCount({}, 1), 1);
  assert.equal(threadCount({ cpus: [0, 1, 5] }, 1000), 3);
  assert.equal(threadCount({ cpus: [0, 1, 5] }, 2), 2);
  assert.equal(threadCount({ cpus: [0], threads: 4 }, 8), 4);
});

describe('the threads of a device', () => {
  test('each run on a processor of the list, from the first again', async (context) => {
    const [first, second] = allowedProcessors();
    if (first === undefined || second === undefined) {
      context.skip('there is one processor');
      return;
    }
    const count = (processor: number): number => boundTo().filter((list) => list === `${processor}`).length;
    await start({}, 2, 'test-plane.js', [second, first, second]);
    assert.deepEqual([count(first), count(second)], [1, 1]);
    await start({}, 2, 'test-plane.js', [second]);
    assert.deepEqual([count(first), count(second)], [1, 3]);
    await start({}, 2);
    assert.deepEqual([count(first), count(second)], [1, 3]);
  });

  test('each have a data plane, and the queues of whole groups', async () => {
    const host = await start();
    assert.deepEqual([count('created'), count('queues')], [2, 0b1111]);
    host.run(0n, [setup(0), setup(1), setup(2)]);
    assert.deepEqual(kicks.map(([queue]) => queue).sort(), [0, 1, 2]);
    const kickOf = new Map(kicks);
    assert.equal(kickOf.get(0), kickOf.get(1), 'a group has one thread');
    assert.notEqual(kickOf.get(0), kickOf.get(2));
    host.runQueue(setup(3));
    await host.invalidate(0n, 0n);
    assert.equal(count('started'), 2, 'commands are carried out in order');
    assert.deepEqual(kicks.at(-1), [3, kickOf.get(2)]);
  });

  test('that are stopped no longer serve queues, and a single queue can be stopped', async () => {
    const host = await start();
    host.run(0n, [0, 1, 2, 3].map(setup));
    await host.stopQueue(2);
    const states = (): string[] => [0, 1, 2, 3].map((queue) => QueueCounters.at(counters, queue).state);
    assert.equal(states()[2], 'stopped');
    assert.notEqual(states()[3], 'stopped');
    await host.stop();
    assert.deepEqual(states(), ['stopped', 'stopped', 'stopped', 'stopped']);
    assert.equal(QueueCounters.at(counters, 0).position, 5, 'their positions are remembered');
  });

  test('are all notified of changes, and answer when mappings have changed', async () => {
    const host = await start();
    host.change({ size: 1 });
    await host.invalidate(0n, 2n ** 64n - 1n);
    assert.equal(count('changed'), 2);
    assert.equal(Math.floor(host.serviceTimeMs()), 0, 'none of them serves a queue');
  });

  test('get no change once they end: their descriptors may be those of other files', async () => {
    const host = await start();
    await host.exit();
    host.change({ type: 'late' });
    assert.equal(count('changed'), 0);
  });

  test('close their data planes once, when they end', async () => {
    const host = await start();
    await host.exit();
    await host.exit();
    assert.deepEqual([count('closed'), host.stuck], [2, false]);
  });
});

describe('a thread that fails', () => {
  test('while its data plane is created: starting fails with its error, and no thread is left behind', async () => {
    await assert.rejects(start({ fails: 'no such disk' }), { message: 'no such disk' });
    assert.deepEqual([count('created'), count('closed')], [0, 0]);
    await assert.rejects(start({}, 1, 'no-such-module.js'), /no-such-module/);
  });

  test('before it exists: nothing of it is left', async (context) => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const allocate = context.mock.method(MappingTable, 'allocate');
    const free = context.mock.method(MappingTable.prototype, 'free');
    await assert.rejects(start({ symbol: Symbol() }), /could not be cloned/);
    assert.deepEqual([allocate.mock.callCount(), free.mock.callCount()], [1, 1]);
    assert.equal(open(), before);
  });

  test('by ending: the host says with which code', async () => {
    const host = await start({}, 1);
    const failed = once(host, 'error');
    host.change('end');
    const [error] = (await failed) as [Error];
    assert.equal(error.message, 'A data thread exited with code 3');
    await host.exit();
    assert.equal(host.stuck, false);
  });

  test('later: the host reports it, commands do not wait for it, and exit ends the others', async () => {
    const host = await start({}, 1);
    const failed = once(host, 'error');
    host.change('fail');
    const [error] = (await failed) as [Error];
    assert.equal(error.message, 'the change failed');
    await host.stop();
    await host.invalidate(0n, 0n);
    await host.exit();
    assert.equal(host.stuck, false);
  });
});
