import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openEventfd, signalEventfd } from '../../../src/sys/events.js';
import { Errno } from '../../../src/sys/errno.js';
import { SystemError } from '../../../src/sys/error.js';
import { DescriptorChain } from '../../../src/virtio/descriptor-chain.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { MORE, QUIET, STARVED, WAIT, type ServeResult } from '../../../src/vduse/engine/data-plane.js';
import type { DeviceQueue } from '../../../src/vduse/engine/queue.js';
import { BUFFERS, ThreadUnderTest } from './thread-and-driver.js';

const EXIT = { type: 'exit', ticket: 99 } as const;
const chain = new DescriptorChain(16);

/** Completes all requests of a queue. @param taken called when one is taken. @returns how many */
function completeAll(queue: DeviceQueue, taken: () => void = () => undefined): number {
  let count = 0;
  for (; queue.ring.take(chain); count++) {
    taken();
    queue.checkMemory();
    queue.ring.complete(chain.head, 0);
  }
  if (count > 0) queue.flush();
  return count;
}

/** A plane that completes everything, and runs one of these steps each time a queue is served. The last step is to exit. */
function stepping(
  steps: readonly ((thread: ThreadUnderTest, queue: DeviceQueue) => ServeResult | undefined)[],
  options: ConstructorParameters<typeof ThreadUnderTest>[1] = {},
): { readonly thread: ThreadUnderTest; readonly served: number[] } {
  const served: number[] = [];
  const thread: ThreadUnderTest = new ThreadUnderTest(
    {
      serve: (queue) => {
        const step = steps[served.length] ?? assert.fail('it was served once more');
        served.push(completeAll(queue));
        return step(thread, queue) ?? WAIT;
      },
    },
    options,
  );
  return { thread, served };
}

const exit = (thread: ThreadUnderTest): undefined => {
  thread.send(EXIT);
};
const offerAndKick = (thread: ThreadUnderTest): undefined => {
  thread.offer();
  thread.kick();
};

describe('a data thread', () => {
  test('checks what a data plane watches while a queue is busy, after every round', async () => {
    const packets = openEventfd();
    let rounds = 0;
    let seenIn: number | undefined;
    const thread = new ThreadUnderTest(
      {
        // A queue that is never empty, as of a guest that sends all the time.
        serve: () => {
          rounds++;
          if (rounds === 10) signalEventfd(packets);
          if (rounds === 1000 || seenIn !== undefined) thread.send(EXIT);
          return MORE;
        },
      },
      { watched: [{ fd: packets, readable: () => (seenIn ??= rounds) }] },
    );
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.equal(seenIn, 10);
  });

  test('serves a queue again when the driver kicks, and when a watched descriptor is readable', async () => {
    const packets = openEventfd();
    let readable = 0;
    const { thread, served } = stepping(
      [
        offerAndKick,
        () => {
          signalEventfd(packets);
          return undefined;
        },
        exit,
      ],
      { watched: [{ fd: packets, readable: () => readable++ }] },
    );
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual([served, readable], [[0, 1, 0], 1]);
    assert.equal(thread.driver.usedIndex, 1);
    assert.deepEqual(thread.notices, [{ type: 'done', ticket: 99 }]);
  });

  test('asks for kicks only where they are useful', async () => {
    const suppressed: boolean[] = [];
    const { thread } = stepping([
      (under) => {
        suppressed.push(under.driver.suppressesKicks);
        under.kick();
        return QUIET;
      },
      (under) => {
        suppressed.push(under.driver.suppressesKicks);
        under.kick();
        return STARVED;
      },
      exit,
    ]);
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual(suppressed, [true, true], 'while it serves, kicks are of no use');
  });

  test('acknowledges each command that has a ticket, in order', async () => {
    const changes: unknown[] = [];
    let closed = 0;
    const thread = new ThreadUnderTest({
      serve: () => WAIT,
      change: (change) => void changes.push(change),
      close: () => closed++,
    });
    thread.send(
      { type: 'start', features: 0n, queues: [thread.setup()] },
      { type: 'change', change: { size: 4096 } },
      { type: 'stop-queue', ticket: 1, queue: 0 },
      { type: 'invalidate', ticket: 2, start: 0n, last: 2n ** 64n - 1n },
      { type: 'stop', ticket: 3, reset: false },
      EXIT,
    );
    await thread.run();
    assert.deepEqual(
      thread.notices,
      [1, 2, 3, 99].map((ticket) => ({ type: 'done', ticket })),
    );
    assert.deepEqual([changes, closed], [[{ size: 4096 }], 1]);
    assert.equal(QueueCounters.at(thread.counters, 0).state, 'stopped');
  });

  test('does not serve a stopped queue, and resumes it at the given index', async () => {
    const { thread, served } = stepping([
      (under) => {
        under.send({ type: 'stop-queue', ticket: 1, queue: 0 }, { type: 'start-queue', queue: under.setup(1) });
        return undefined;
      },
      exit,
    ]);
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual(served, [1, 0], 'the request is not served again');
  });

  test('retries a pending interrupt before it sleeps, until it succeeds', async () => {
    let attempts = 0;
    const thread = new ThreadUnderTest(
      {
        serve: (queue) => {
          completeAll(queue);
          return WAIT;
        },
      },
      {
        interrupt: () => {
          attempts++;
          if (attempts < 4) return 'pending';
          thread.send(EXIT);
          return 'sent';
        },
      },
    );
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.equal(attempts, 4);
    assert.equal(QueueCounters.at(thread.counters, 0).read().interrupts, 1);
  });

  test('ends with the error of a failed interrupt', async () => {
    const { thread } = stepping([exit], {
      interrupt: () => {
        throw new SystemError({ operation: 'interrupt', errno: Errno.EIO });
      },
    });
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await assert.rejects(thread.run(), { code: 'EIO' });
  });
});

describe('a driver that breaks its ring', () => {
  test('has its queue stopped, with the reason, and the thread continues', async () => {
    let rounds = 0;
    const thread = new ThreadUnderTest({
      serve: (queue) => {
        rounds++;
        thread.send({ type: 'invalidate', ticket: 5, start: 0n, last: 0n }, EXIT);
        return completeAll(queue) > 0 ? MORE : WAIT;
      },
    });
    thread.driver.offer(4711); // There are 8 descriptors.
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    const [first, ...others] = thread.notices;
    assert.ok(first?.type === 'broken');
    assert.deepEqual([first.queue, first.reason === ''], [0, false]);
    assert.deepEqual(
      others,
      [5, 99].map((ticket) => ({ type: 'done', ticket })),
    );
    assert.equal(rounds, 1);
  });
});

describe('memory of the driver', () => {
  test('that is not mapped yet: the queue waits for it', async () => {
    let state = '';
    let served = 0;
    const thread = new ThreadUnderTest({
      serve: (queue) => {
        served += completeAll(queue);
        thread.send(EXIT);
        return WAIT;
      },
      change: () => {
        ({ state } = QueueCounters.at(thread.counters, 0));
        thread.isMapped = () => true;
      },
    });
    thread.isMapped = () => {
      // The kernel maps the memory soon after, and reports a change there.
      thread.send(
        { type: 'change', change: undefined },
        { type: 'invalidate', ticket: 1, start: 0n, last: 2n ** 64n - 1n },
      );
      return false;
    };
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual([state, served], ['unmapped', 1]);
  });

  test('that changes is remapped, and the ring continues where it was', async () => {
    let lookUps = 0;
    const { thread, served } = stepping([
      (under) => {
        lookUps = under.lookUps;
        under.send({ type: 'invalidate', ticket: 1, start: 0x10000n, last: 0x10fffn });
        under.offer();
        return undefined;
      },
      exit,
    ]);
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual([served, thread.driver.usedIndex], [[1, 1], 2]);
    assert.ok(thread.lookUps > lookUps);
  });

  test('that is unmapped while a request is served: the request is served again, once', async () => {
    let rounds = 0;
    let done = 0;
    const thread = new ThreadUnderTest({
      serve: (queue) => {
        rounds++;
        const count = completeAll(queue, () => {
          if (rounds === 1) thread.revoke();
        });
        done += count;
        if (count > 0) thread.send(EXIT);
        return WAIT;
      },
    });
    thread.offer();
    thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
    await thread.run();
    assert.deepEqual([rounds, done, thread.driver.usedIndex], [2, 1, 1]);
    assert.deepEqual(thread.notices, [{ type: 'done', ticket: 99 }], 'the driver is not to blame');
  });
});

test('buffers of the driver are at the addresses it gives', async () => {
  const seen: number[] = [];
  const thread = new ThreadUnderTest({
    serve: (queue) => {
      while (queue.ring.take(chain)) {
        seen.push(chain.region(0).start + chain.offset(0));
        queue.ring.complete(chain.head, 0);
      }
      queue.flush();
      thread.send(EXIT);
      return WAIT;
    },
  });
  thread.offer();
  thread.send({ type: 'start', features: 0n, queues: [thread.setup()] });
  await thread.run();
  assert.deepEqual(seen, [BUFFERS]);
});
