import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../src/virtio/ring.js';
import { BrokenRingError, SplitQueue } from '../../src/virtio/split-queue.js';
import { PlainMemory } from '../support/plain-memory.js';
import { RingDriver, type Buffer } from '../support/ring-driver.js';
import { DATA, DATA_BYTES, RINGS, setUp, type Options } from '../support/queue-and-driver.js';

const breaks = (work: () => unknown, message: RegExp): void => {
  assert.throws(work, (error) => error instanceof BrokenRingError && message.test(error.message));
};

describe('split virtqueue', () => {
  it('gives a chain with its buffers and returns it', () => {
    const { driver, queue, chain, data } = setUp();
    data.u8.set([1, 2, 3, 4], 0x10);
    const head = driver.chain([
      { iova: DATA + 0x10, length: 4 },
      { iova: DATA + 0x20, length: 8, writable: true },
      { iova: DATA + 0x40, length: 1, writable: true },
    ]);
    assert.equal(queue.take(chain), false);
    driver.offer(head);
    assert.equal(queue.pending(), 1);
    assert.equal(queue.take(chain), true);
    assert.equal(queue.take(chain), false);
    assert.equal(chain.head, head);
    assert.equal(chain.fault, undefined);
    assert.deepEqual([chain.count, chain.readableCount, chain.readableBytes, chain.writableBytes], [3, 1, 4, 9]);
    const read = new Uint8Array(8);
    assert.equal(chain.read(read), 4);
    assert.deepEqual([...read], [1, 2, 3, 4, 0, 0, 0, 0]);
    assert.deepEqual([chain.readByte(0), chain.readByte(3), chain.readByte(4)], [1, 4, 0]);
    assert.equal(chain.write(Uint8Array.of(9, 8, 7), 6), 3);
    assert.deepEqual([...data.u8.subarray(0x26, 0x29)], [9, 8, 0]);
    assert.equal(data.u8[0x40], 7);
    for (const position of [7, 8, 9]) chain.writeByte(position, position);
    assert.deepEqual([...data.u8.subarray(0x26, 0x29), data.u8[0x40], data.u8[0x41]], [9, 7, 0, 8, 0]);
    chain.writeByte(chain.writableBytes - 1, 5);
    assert.equal(data.u8[0x40], 5);
    queue.complete(chain.head, 9);
    assert.equal(driver.collect(), undefined);
    queue.publish();
    assert.deepEqual(driver.collect(), { head, written: 9 });
  });

  it('accepts an indirect table, even one that spans two regions', () => {
    const { memory, driver, queue, chain } = setUp();
    const table = 0x40000 - 24;
    const first = memory.map(0x40000 - 64, 64);
    const second = memory.map(0x40000, 64);
    const whole = new PlainMemory().map(table, 48);
    const writer = new RingDriver(whole.u8.buffer as ArrayBuffer, table, RINGS, 8);
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

  it('splits a buffer that spans two regions', () => {
    const { memory, driver, queue, chain } = setUp();
    memory.map(DATA + DATA_BYTES, 0x1000);
    driver.offer(driver.chain([{ iova: DATA + DATA_BYTES - 100, length: 300, writable: true }]));
    queue.take(chain);
    assert.equal(chain.fault, undefined);
    assert.deepEqual([chain.length(0), chain.length(1), chain.offset(1)], [100, 200, 0]);
    const sink = { count: 0, capacity: 2, pieces: [] as number[], push: (_: number, n: number) => void pieces.push(n) };
    const pieces = sink.pieces;
    assert.equal(chain.gather(sink, true, 50, 200), true);
    assert.deepEqual(pieces, [50, 150]);
  });

  const faults: [string, Buffer[], RegExp][] = [
    ['an address that is not mapped', [{ iova: 0x900000, length: 16 }], /in unmapped memory/],
    ['an address above 2^53', [{ iova: 2n ** 60n, length: 16 }], /in unmapped memory/],
    ['a range that wraps around', [{ iova: 2n ** 64n - 8n, length: 16 }], /in unmapped memory/],
    ['a range that leaves its region', [{ iova: DATA + DATA_BYTES - 8, length: 16 }], /in unmapped memory/],
    ['an empty buffer', [{ iova: DATA, length: 0 }], /zero-length buffer/],
    ['read-only memory', [{ iova: 0x50000, length: 8, writable: true }], /without the required permission/],
    ['write-only memory', [{ iova: 0x60000, length: 8 }], /without the required permission/],
  ];
  for (const [name, buffers, message] of faults) {
    it(`records ${name}, and the status byte after it stays reachable`, () => {
      const { memory, driver, queue, chain, data } = setUp();
      memory.map(0x50000, 0x1000, 'r');
      memory.map(0x60000, 0x1000, 'w');
      driver.offer(driver.chain([...buffers, { iova: DATA, length: 1, writable: true }]));
      assert.equal(queue.take(chain), true);
      assert.match(chain.fault ?? '', message);
      assert.equal(chain.endWritable, true);
      chain.writeByte(chain.writableBytes - 1, 77);
      assert.equal(data.u8[0], 77);
      driver.offer(driver.chain(buffers));
      queue.take(chain);
      assert.equal(chain.endWritable, false);
    });
  }

  const broken: [string, Options, (driver: RingDriver) => number, RegExp][] = [
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
      const { driver, queue, chain } = setUp(options);
      driver.offer(write(driver));
      breaks(() => queue.take(chain), message);
    });
  }

  it('breaks on an available index that is further ahead than the queue size', () => {
    const { driver, queue, chain } = setUp();
    driver.setAvailableIndex(9);
    breaks(() => queue.pending(), /9 entries ahead in a queue of 8/);
    breaks(() => queue.take(chain), /9 entries ahead/);
    breaks(() => queue.enableKicks(), /9 entries ahead/);
    driver.setAvailableIndex(-1);
    breaks(() => queue.pending(), /65535 entries ahead/);
  });

  it('is not mapped if a ring is unmapped, misaligned or read-only', () => {
    const { memory, layout } = setUp();
    assert.equal(SplitQueue.map(memory, { ...layout, descriptorTable: 0x900000 }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, availableRing: RINGS + 0x7fff }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, usedRing: RINGS + 2 }, 0), undefined);
    memory.map(0x50000, 0x1000, 'r');
    assert.equal(SplitQueue.map(memory, { ...layout, usedRing: 0x50000 }, 0), undefined);
  });

  it('continues at the end of the used ring, for a device that was stopped', () => {
    const { memory, driver, queue, chain, layout } = setUp({ start: 65534 });
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
    const { driver, queue, chain } = setUp({ start: 65535 });
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
    const { driver, queue } = setUp();
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
    const { driver, queue } = setUp({ eventIndex: true, start: 65533 });
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
