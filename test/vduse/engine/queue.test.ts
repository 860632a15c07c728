import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SystemError } from '../../../src/sys/error.js';
import { BrokenRingError } from '../../../src/virtio/virtqueue.js';
import { InflightLog } from '../../../src/vduse/engine/inflight-log.js';
import { DeviceQueue, MemoryRevokedError, type QueueOwner } from '../../../src/vduse/engine/queue.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import type { InterruptResult } from '../../../src/vduse/kernel/interrupt.js';
import { vduseInterrupt } from '../../../src/vduse/kernel/interrupt.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { SplitDriver } from '../../../src/virtio/driver/split-driver.js';
import { DATA, FORMS, setUp, setUpSplit } from '../../support/queue-and-driver.js';

/** Completes one request of a queue. */
function complete({ queue, driver, chain }: ReturnType<typeof setUpDeviceQueue>): void {
  driver.offer(driver.chain([{ iova: DATA, length: 16 }]));
  assert.ok(queue.ring.take(chain));
  queue.ring.complete(chain.head, 0);
}

for (const { name: form, packed } of FORMS) {
  describe(`interrupts, in a ${form} queue`, () => {
    test('follow completions, and are counted', () => {
      const parts = setUpDeviceQueue({ packed, index: 5 });
      complete(parts);
      assert.equal(parts.driver.usedIndex, 0);
      parts.queue.flush();
      assert.deepEqual(
        [parts.driver.usedIndex, parts.interrupts, parts.counters.position],
        [1, [5], parts.queue.ring.nextUsed],
      );
      assert.equal(parts.counters.read().interrupts, 1);
      assert.equal(parts.queue.interruptPending, false);
    });

    test('are not sent to a driver that suppresses them', () => {
      const parts = setUpDeviceQueue({ packed });
      parts.driver.suppressInterrupts();
      complete(parts);
      parts.queue.flush();
      assert.deepEqual([parts.driver.usedIndex, parts.interrupts], [1, []]);
    });

    test('with an event index are sent when the driver waits for that index', () => {
      const parts = setUpDeviceQueue({ packed, eventIndex: true });
      parts.driver.waitFor(2);
      complete(parts);
      parts.queue.flush();
      assert.deepEqual(parts.interrupts, []);
      complete(parts);
      parts.queue.flush();
      assert.deepEqual(parts.interrupts, [0]);
    });

    test('that are not possible yet stay pending; a driver that is gone gets none', () => {
      const results: InterruptResult[] = ['pending', 'pending', 'sent'];
      const parts = setUpDeviceQueue({ packed, owner: { interrupt: () => results.shift() ?? 'unwanted' } });
      complete(parts);
      parts.queue.flush();
      assert.equal(parts.queue.interruptPending, true);
      parts.queue.interrupt();
      assert.equal(parts.queue.interruptPending, true);
      parts.queue.interrupt();
      assert.equal(parts.queue.interruptPending, false);
      parts.queue.interrupt();
      assert.deepEqual([parts.queue.interruptPending, parts.counters.read().interrupts], [false, 1]);
    });

    test('that fail otherwise end the thread, and the error names the operation', () => {
      const interrupt = vduseInterrupt(-1);
      const parts = setUpDeviceQueue({ packed, index: 6, owner: { interrupt } });
      complete(parts);
      assert.throws(
        () => {
          parts.queue.flush();
        },
        (error) => error instanceof SystemError && error.code === 'EBADF' && error.message.includes('6'),
      );
    });
  });
}

for (const { name: form, packed } of FORMS) {
  describe(`memory that is revoked, in a ${form} queue`, () => {
    test('before the driver sees a completion: it does not see it', () => {
      const parts = setUpDeviceQueue({ packed, owner: { isRevoked: () => true } });
      complete(parts);
      assert.throws(() => {
        parts.queue.flush();
      }, MemoryRevokedError);
      assert.deepEqual([parts.driver.usedIndex, parts.interrupts, parts.counters.position], [0, [], parts.position]);
    });

    test('while the index is written: it does not count as seen', () => {
      let checks = 0;
      const parts = setUpDeviceQueue({ packed, owner: { isRevoked: () => ++checks > 1 } });
      complete(parts);
      assert.throws(() => {
        parts.queue.flush();
      }, MemoryRevokedError);
      assert.deepEqual([parts.interrupts, parts.counters.position], [[], parts.position]);
    });
  });
}

describe('the ring', () => {
  const owner: Omit<QueueOwner, 'memory'> = {
    interrupt: () => 'sent',
    isRevoked: () => false,
    hasPendingCommand: () => false,
  };

  test('that is not mapped yet: the queue reports it, and is not served', () => {
    const { memory, layout } = setUp();
    const counters = QueueCounters.at(QueueCounters.allocate(1), 0);
    const hidden = memory.regions.splice(0);
    const queue = new DeviceQueue({ index: 2, layout, position: 0, resume: false }, counters, { ...owner, memory });
    assert.equal(queue.map(), false);
    assert.deepEqual([queue.usable, counters.state], [false, 'unmapped']);
    assert.throws(() => queue.ring, /2/);
    memory.regions.push(...hidden);
    assert.equal(queue.map(), true);
    assert.deepEqual([queue.usable, counters.state, queue.map()], [true, 'running', true]);
  });

  test('that is mapped again continues where it was, and the driver gets an interrupt for what it may have missed', () => {
    const parts = setUpDeviceQueue({ start: 0xfffe });
    for (let request = 0; request < 3; request++) complete(parts);
    parts.queue.flush();
    assert.equal(parts.counters.position, 1);
    parts.queue.unmap();
    assert.deepEqual([parts.queue.usable, parts.queue.interruptPending], [false, true]);
    assert.ok(parts.queue.map());
    assert.equal(parts.queue.ring.nextUsed, 1);
    parts.driver.offer(parts.driver.chain([{ iova: DATA, length: 16 }]));
    assert.ok(parts.queue.ring.take(parts.chain));
  });

  test('of a queue that another server has served starts at its used index', () => {
    const { memory, layout, driver } = setUpSplit({ start: 40 });
    const counters = QueueCounters.at(QueueCounters.allocate(1), 0);
    const queue = new DeviceQueue({ index: 0, layout, position: 0, resume: true }, counters, { ...owner, memory });
    assert.deepEqual([counters.position, queue.interruptPending], [undefined, true]);
    driver.usedIndex = 38;
    assert.ok(queue.map());
    assert.equal(counters.position, 38);
  });

  test('that is stopped or broken is no longer served', () => {
    for (const state of ['stopped', 'broken'] as const) {
      const { queue, counters } = setUpDeviceQueue();
      queue.stop(state);
      assert.deepEqual([queue.usable, counters.state], [false, state]);
    }
    const { queue } = setUpDeviceQueue();
    queue.broken = true;
    assert.equal(queue.usable, false);
  });
});

test('each queue has its own counters, which other threads can read', () => {
  const shared = QueueCounters.allocate(3);
  const middle = QueueCounters.at(shared, 1);
  middle.add(0, 2);
  middle.add(0, 3);
  middle.position = 0xffff;
  middle.state = 'broken';
  const seen = QueueCounters.at(shared, 1);
  assert.deepEqual(seen.read(), { requests: 5, bytesIn: 0, bytesOut: 0, errors: 0, interrupts: 0 });
  assert.deepEqual([seen.position, seen.state], [0xffff, 'broken']);
  for (const queue of [0, 2]) {
    const other = QueueCounters.at(shared, queue);
    assert.deepEqual([other.read().requests, other.position, other.state], [0, undefined, 'stopped']);
  }
});

for (const { name: form, packed } of FORMS) {
  describe(`chains that are completed in any order, in a ${form} queue`, () => {
    const offer = ({ driver }: ReturnType<typeof setUpDeviceQueue>, count: number): number[] =>
      Array.from({ length: count }, () => {
        const head = driver.chain([{ iova: DATA, length: 16 }]);
        driver.offer(head);
        return head;
      });

    const takeAll = ({ queue, chain }: ReturnType<typeof setUpDeviceQueue>): number[] => {
      const heads = [];
      while (queue.take(chain)) heads.push(chain.head);
      return heads;
    };

    test('are published in the order of their completion', () => {
      const parts = setUpDeviceQueue({ packed });
      const heads = offer(parts, 3);
      assert.deepEqual(takeAll(parts), heads);
      for (const head of heads) parts.queue.begin(head);
      parts.queue.complete(heads[2] ?? -1, 7);
      parts.queue.complete(heads[0] ?? -1, 8);
      assert.equal(parts.driver.usedIndex, 0);
      parts.queue.flush();
      assert.deepEqual(
        [parts.driver.collect(), parts.driver.collect(), parts.driver.collect()],
        [{ head: heads[2], written: 7 }, { head: heads[0], written: 8 }, undefined],
      );
    });

    test('that are in flight when the ring is mapped again are taken again, before the new ones', () => {
      const parts = setUpDeviceQueue({ packed });
      const heads = offer(parts, 4);
      takeAll(parts);
      for (const head of heads.slice(0, 3)) parts.queue.begin(head);
      parts.queue.complete(heads[1] ?? -1, 0);
      parts.queue.flush();
      parts.queue.unmap();
      const [late = -1] = offer(parts, 1);
      assert.ok(parts.queue.map());
      assert.equal(parts.queue.hasAgain, true);
      assert.deepEqual(
        takeAll(parts),
        [heads[0], heads[2], heads[3], late],
        'the one that was not begun is in the ring',
      );
      assert.equal(parts.queue.hasAgain, false);
    });

    test('that were put back are taken again, wherever they came from', () => {
      const parts = setUpDeviceQueue({ packed });
      const heads = offer(parts, 2);
      for (let time = 0; time < 2; time++) {
        assert.ok(parts.queue.take(parts.chain));
        assert.equal(parts.chain.head, heads[0]);
        parts.queue.putBack(parts.chain.head);
      }
      assert.deepEqual(takeAll(parts), heads);
      for (const head of heads) parts.queue.begin(head);
      parts.queue.unmap();
      assert.ok(parts.queue.map());
      assert.ok(parts.queue.take(parts.chain));
      parts.queue.putBack(parts.chain.head);
      assert.deepEqual(takeAll(parts), heads);
    });

    test('of which one is in flight already break the ring', () => {
      const parts = setUpDeviceQueue({ packed });
      const [head = -1] = offer(parts, 1);
      assert.ok(parts.queue.take(parts.chain));
      parts.driver.offer(head);
      assert.throws(() => parts.queue.take(parts.chain), BrokenRingError);
    });

    test('of a driver that resets the device are not taken again', () => {
      const parts = setUpDeviceQueue({ packed });
      const [head = -1] = offer(parts, 1);
      takeAll(parts);
      parts.queue.begin(head);
      const next = setUpDeviceQueue({ packed, log: parts.log });
      assert.deepEqual([takeAll(next), parts.log.hasInFlight], [[], false]);
    });

    test('are dropped when the queue is stopped', () => {
      const parts = setUpDeviceQueue({ packed });
      const [head = -1] = offer(parts, 1);
      takeAll(parts);
      parts.queue.begin(head);
      parts.queue.stop('broken');
      parts.queue.complete(head, 0);
      assert.equal(parts.driver.usedIndex, 0);
    });
  });
}

describe('where a device continues in a queue', () => {
  test('is unknown if results of chains in flight are lost', () => {
    const parts = setUpDeviceQueue();
    parts.driver.offer(parts.driver.chain([{ iova: DATA, length: 16 }]));
    assert.ok(parts.queue.take(parts.chain));
    parts.queue.begin(parts.chain.head);
    parts.queue.stop('stopped');
    assert.deepEqual([parts.counters.position, parts.counters.state], [undefined, 'broken']);
  });

  test('is known from the log while the ring of the last server is missing', () => {
    const log = InflightLog.inMemory(8);
    log.reset(5);
    const { layout, memory } = setUp();
    const counters = QueueCounters.at(QueueCounters.allocate(1), 0);
    const owner: QueueOwner = {
      memory,
      interrupt: () => 'sent',
      isRevoked: () => false,
      hasPendingCommand: () => false,
    };
    memory.regions.splice(0);
    const queue = new DeviceQueue({ index: 0, layout, position: 0, resume: true }, counters, owner, log);
    assert.equal(queue.map(), false);
    assert.equal(counters.position, 5);
    log.begin(3);
    const next = new DeviceQueue({ index: 0, layout, position: 0, resume: true }, counters, owner, log);
    assert.deepEqual([next.usable, counters.position], [false, undefined]);
  });
});

test('chains of a split queue whose memory is revoked while their index is written are taken again', () => {
  let checks = 0;
  const parts = setUpDeviceQueue({ owner: { isRevoked: () => ++checks > 1 } });
  parts.driver.offer(parts.driver.chain([{ iova: DATA, length: 16 }]));
  assert.ok(parts.queue.take(parts.chain));
  const { head } = parts.chain;
  parts.queue.begin(head);
  parts.queue.complete(head, 0);
  assert.throws(() => {
    parts.queue.flush();
  }, MemoryRevokedError);
  // The index went to memory that is not the driver's.
  assert.ok(parts.driver instanceof SplitDriver);
  parts.driver.usedIndex = 0;
  parts.queue.unmap();
  assert.ok(parts.queue.map());
  assert.ok(parts.queue.take(parts.chain));
  assert.equal(parts.chain.head, head);
});
