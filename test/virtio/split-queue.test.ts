import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../src/virtio/split-ring.js';
import { SplitQueue } from '../../src/virtio/split-queue.js';
import { BrokenRingError } from '../../src/virtio/virtqueue.js';
import { PlainMemory } from '../support/plain-memory.js';
import { SplitDriver } from '../../src/virtio/driver/split-driver.js';
import { DATA, RINGS, setUpSplit, type Options } from '../support/queue-and-driver.js';

const breaks = (work: () => unknown, message: RegExp): void => {
  assert.throws(work, (error) => error instanceof BrokenRingError && message.test(error.message));
};

describe('split virtqueue', () => {
  it('accepts an indirect table, even one that spans two regions', () => {
    const { memory, driver, queue, chain } = setUpSplit();
    const table = 0x40000 - 24;
    const first = memory.map(0x40000 - 64, 64);
    const second = memory.map(0x40000, 64);
    const whole = new PlainMemory().map(table, 48);
    const writer = new SplitDriver(whole.u8.buffer as ArrayBuffer, table, RINGS, 8);
    writer.descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 1, table);
    writer.descriptor(1, DATA + 16, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2, table);
    writer.descriptor(2, DATA + 1024, 1, VRING_DESC_F_WRITE, 0, table);
    first.u8.set(whole.u8.subarray(0, 24), 40);
    second.u8.set(whole.u8.subarray(24), 0);
    driver.descriptor(3, table, 48, VRING_DESC_F_INDIRECT);
    driver.offer(3);
    driver.offer(driver.indirectChain([{ iova: DATA, length: 16 }], RINGS + 0x4000));
    queue.take(chain);
    assert.deepEqual([chain.head, chain.count, chain.readableBytes, chain.writableBytes], [3, 3, 16, 513]);
    queue.take(chain);
    assert.deepEqual([chain.count, chain.readableBytes, chain.writableBytes], [1, 16, 0]);
  });

  const broken: [string, Options, (driver: SplitDriver) => number, RegExp][] = [
    ['a head out of range', {}, () => 8, /descriptor index 8 out of range in a queue of 8/],
    [
      'a next descriptor out of range',
      {},
      (driver) => (driver.descriptor(0, DATA, 8, VRING_DESC_F_NEXT, 8), 0),
      /descriptor index 8 out of range in a table of 8/,
    ],
    [
      'a chain that loops',
      {},
      (driver) => {
        driver.descriptor(0, DATA, 8, VRING_DESC_F_NEXT, 1);
        driver.descriptor(1, DATA, 8, VRING_DESC_F_NEXT, 0);
        return 0;
      },
      /chain with a loop/,
    ],
    [
      'a chain that is longer than the queue',
      { maxChain: 8 },
      (driver) =>
        driver.indirectChain(
          Array.from({ length: 9 }, () => ({ iova: DATA, length: 8 })),
          RINGS + 0x4000,
        ),
      /indirect table length: 144 bytes/,
    ],
    [
      'an indirect table in an indirect table',
      {},
      (driver) => {
        driver.descriptor(0, RINGS + 0x4100, 16, VRING_DESC_F_INDIRECT, 0, RINGS + 0x4000);
        driver.descriptor(0, RINGS + 0x4000, 16, VRING_DESC_F_INDIRECT);
        return 0;
      },
      /nested indirect descriptor/,
    ],
    [
      'an indirect table of odd length',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 24, VRING_DESC_F_INDIRECT), 0),
      /table length: 24 bytes/,
    ],
    [
      'an empty indirect table',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 0, VRING_DESC_F_INDIRECT), 0),
      /table length: 0 bytes/,
    ],
    [
      'an indirect table that is not mapped',
      {},
      (driver) => (driver.descriptor(0, 0x900000, 32, VRING_DESC_F_INDIRECT), 0),
      /in unmapped memory/,
    ],
    [
      'an indirect descriptor with a next one',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1), 0),
      /with VIRTQ_DESC_F_NEXT/,
    ],
    [
      'an indirect descriptor that was not negotiated',
      { indirect: false },
      (driver) => driver.indirectChain([{ iova: DATA, length: 8 }], RINGS + 0x4000),
      /without RING_INDIRECT_DESC/,
    ],
    [
      'a readable buffer after a writable one',
      {},
      (driver) =>
        driver.chain([
          { iova: DATA, length: 8, writable: true },
          { iova: DATA, length: 8 },
        ]),
      /device-readable buffer after/,
    ],
  ];
  for (const [name, options, write, message] of broken) {
    it(`breaks on ${name}`, () => {
      const { driver, queue, chain } = setUpSplit(options);
      driver.offer(write(driver));
      breaks(() => queue.take(chain), message);
    });
  }

  it('breaks on an available index that is further ahead than the queue size', () => {
    const { driver, queue, chain } = setUpSplit();
    driver.setAvailableIndex(9);
    breaks(() => queue.pending(), /9 entries ahead in a queue of 8/);
    breaks(() => queue.take(chain), /9 entries ahead/);
    breaks(() => queue.enableKicks(), /9 entries ahead/);
    driver.setAvailableIndex(-1);
    breaks(() => queue.pending(), /65535 entries ahead/);
  });

  it('is not mapped if a ring is unmapped, misaligned or read-only', () => {
    const { memory, layout } = setUpSplit();
    assert.equal(SplitQueue.map(memory, { ...layout, descriptorArea: 0x900000 }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, driverArea: RINGS + 0x7fff }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, deviceArea: RINGS + 2 }, 0), undefined);
    memory.map(0x50000, 0x1000, 'r');
    assert.equal(SplitQueue.map(memory, { ...layout, deviceArea: 0x50000 }, 0), undefined);
  });

  it('continues at the end of the used ring, for a device that was stopped', () => {
    const { memory, driver, queue, chain, layout } = setUpSplit({ start: 65534 });
    const heads = Array.from({ length: 5 }, () => driver.chain([{ iova: DATA, length: 8 }]));
    heads.forEach((head) => {
      driver.offer(head);
    });
    for (let taken = 0; taken < 4; taken++) queue.take(chain);
    queue.complete(heads[0] ?? 0, 0);
    queue.complete(heads[1] ?? 0, 0);
    queue.publish();
    queue.complete(heads[2] ?? 0, 0); // never published
    const next = SplitQueue.map(memory, layout, undefined);
    assert.ok(next);
    assert.equal(next.pending(), 3);
    next.take(chain);
    assert.equal(chain.head, heads[2]);
    assert.equal(next.nextUsed, 0);
  });

  it('puts chains back', () => {
    const { driver, queue, chain } = setUpSplit({ start: 65535 });
    const head = driver.chain([{ iova: DATA, length: 8 }]);
    driver.offer(head);
    driver.offer(head);
    queue.take(chain);
    queue.take(chain);
    queue.putBack(2);
    assert.equal(queue.pending(), 2);
    assert.equal(queue.nextAvailable, 65535);
  });

  it('follows the flags without event index', () => {
    const { driver, queue } = setUpSplit();
    assert.equal(queue.needsInterrupt(), false);
    queue.complete(0, 0);
    queue.publish();
    assert.equal(queue.needsInterrupt(), true);
    assert.equal(queue.needsInterrupt(), false);
    driver.availableFlags = 1;
    queue.complete(0, 0);
    queue.publish();
    assert.equal(queue.needsInterrupt(), false);
    queue.disableKicks();
    assert.equal(driver.usedFlags, 1);
    assert.equal(queue.enableKicks(), false);
    assert.equal(driver.usedFlags, 0);
    driver.offer(0);
    assert.equal(queue.enableKicks(), true);
  });

  it('follows the event index, including across its wraparound', () => {
    const { driver, queue } = setUpSplit({ eventIndex: true, start: 65533 });
    const publish = (count: number): boolean => {
      for (let index = 0; index < count; index++) queue.complete(0, 0);
      queue.publish();
      return queue.needsInterrupt();
    };
    driver.usedEvent = 65533;
    assert.equal(publish(1), true, 'used index 65534: entry 65533');
    driver.usedEvent = 65535;
    assert.equal(publish(1), false, 'used index 65535: entry 65534');
    assert.equal(publish(1), true, 'used index 0: entry 65535');
    driver.usedEvent = 2;
    assert.equal(publish(2), false);
    assert.equal(publish(3), true);
    assert.equal(queue.enableKicks(), false);
    assert.equal(driver.availableEvent, 65533);
  });
});
