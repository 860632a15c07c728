import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
  WRAP_COUNTER,
} from '../../src/virtio/packed-ring.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../src/virtio/split-ring.js';
import { PackedQueue } from '../../src/virtio/packed-queue.js';
import { BrokenRingError } from '../../src/virtio/virtqueue.js';
import type { PackedDescriptor, PackedDriver } from '../../src/virtio/driver/packed-driver.js';
import { DATA, RINGS, setUpPacked, type Options } from '../support/queue-and-driver.js';

const TABLE = RINGS + 0x4000;
const breaks = (work: () => unknown, message: RegExp): void => {
  assert.throws(work, (error) => error instanceof BrokenRingError && message.test(error.message));
};
const descriptor = (id: number, flags: number): PackedDescriptor => ({ iova: DATA, length: 8, id, flags });

describe('packed virtqueue', () => {
  it('takes the buffer id from the last descriptor of a chain', () => {
    const { driver, queue, chain } = setUpPacked();
    driver.write([
      descriptor(5, VRING_DESC_F_NEXT),
      descriptor(6, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE),
      descriptor(3, VRING_DESC_F_WRITE),
    ]);
    assert.ok(queue.take(chain));
    assert.deepEqual([chain.head, chain.count, chain.readableBytes, chain.writableBytes], [3, 3, 8, 16]);
  });

  it('takes all entries of an indirect table in their order, whatever their flags say of a next one', () => {
    const { memory, driver, queue, chain } = setUpPacked();
    memory.map(0x40000, 64);
    driver.tableEntry(0, descriptor(7, VRING_DESC_F_NEXT), TABLE);
    driver.tableEntry(1, descriptor(1, 0), TABLE);
    driver.tableEntry(2, descriptor(0, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT), TABLE);
    driver.write([{ iova: TABLE, length: 48, id: 4, flags: VRING_DESC_F_INDIRECT }]);
    assert.ok(queue.take(chain));
    assert.deepEqual([chain.head, chain.count, chain.readableBytes, chain.writableBytes], [4, 3, 16, 8]);
  });

  it('sees no chain before its first descriptor is available, and goes around a ring of any size', () => {
    for (const size of [1, 2, 5, 8, 13]) {
      const { driver, queue, chain } = setUpPacked({ size });
      for (let round = 0; round < size * 5; round++) {
        assert.equal(queue.take(chain), false);
        const head = driver.chain([{ iova: DATA, length: 8 }]);
        driver.offer(head);
        assert.ok(queue.take(chain));
        queue.complete(head, 0);
        queue.publish();
        assert.deepEqual(driver.collect(), { head, written: 0 });
      }
      assert.equal(queue.nextUsed, WRAP_COUNTER * (1 - (5 % 2)), 'after an odd number of laps');
    }
  });

  it('reads descriptors once: what the driver changes later does not count', () => {
    const { driver, queue, chain } = setUpPacked();
    driver.write([descriptor(2, VRING_DESC_F_NEXT), descriptor(2, 0)]);
    assert.ok(queue.take(chain));
    driver.tableEntry(0, { iova: 0x900000, length: 77, id: 9, flags: 0xffff }, driver.descriptorArea);
    driver.tableEntry(1, { iova: 0x900000, length: 77, id: 9, flags: 0xffff }, driver.descriptorArea);
    queue.read(2, chain);
    assert.deepEqual([chain.head, chain.fault, chain.count, chain.readableBytes], [2, undefined, 2, 16]);
  });

  it('keeps chains in flight whose descriptors used entries overwrite', () => {
    const { driver, queue, chain } = setUpPacked();
    const slow = driver.chain([
      { iova: DATA, length: 100 },
      { iova: DATA + 256, length: 50 },
    ]);
    driver.offer(slow);
    assert.ok(queue.take(chain));
    for (let round = 0; round < 30; round++) {
      const quick = (slow + 3 + (round % 4)) % 8;
      driver.chainAt(quick, [{ iova: DATA, length: 8 }]);
      driver.offer(quick);
      assert.ok(queue.take(chain));
      queue.complete(quick, 1);
      queue.publish();
      assert.deepEqual(driver.collect(), { head: quick, written: 1 });
      queue.read(slow, chain);
      assert.deepEqual([chain.count, chain.length(0), chain.length(1)], [2, 100, 50]);
    }
    queue.complete(slow, 2);
    queue.publish();
    assert.deepEqual(driver.collect(), { head: slow, written: 2 });
  });

  const broken: [string, Options, (driver: PackedDriver) => void, RegExp][] = [
    [
      'a buffer id out of range',
      {},
      (driver) => {
        driver.write([descriptor(8, 0)]);
      },
      /buffer id 8 out of range/,
    ],
    [
      'a chain without an end',
      {},
      (driver) => {
        driver.write(Array.from({ length: 8 }, (_, id) => descriptor(id, VRING_DESC_F_NEXT)));
      },
      /with a loop/,
    ],
    [
      'an indirect descriptor in a list',
      {},
      (driver) => {
        driver.tableEntry(0, descriptor(0, 0), TABLE);
        driver.write([
          descriptor(0, VRING_DESC_F_NEXT),
          { iova: TABLE, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT },
        ]);
      },
      /indirect descriptor in a list/,
    ],
    [
      'an indirect descriptor with a next one',
      {},
      (driver) => {
        driver.write([
          { iova: TABLE, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
          descriptor(0, 0),
        ]);
      },
      /with VIRTQ_DESC_F_NEXT/,
    ],
    [
      'an indirect table in an indirect table',
      {},
      (driver) => {
        driver.tableEntry(0, { iova: TABLE, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT }, TABLE);
        driver.write([{ iova: TABLE, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT }]);
      },
      /nested indirect descriptor/,
    ],
    ...[0, 24, 144].map((length): [string, Options, (driver: PackedDriver) => void, RegExp] => [
      `an indirect table of ${length} bytes`,
      {},
      (driver) => {
        driver.write([{ iova: TABLE, length, id: 0, flags: VRING_DESC_F_INDIRECT }]);
      },
      new RegExp(`table length: ${length} bytes`),
    ]),
    [
      'an indirect table that is not mapped',
      {},
      (driver) => {
        driver.write([{ iova: 0x900000, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT }]);
      },
      /in unmapped memory/,
    ],
    [
      'an indirect descriptor that was not negotiated',
      { indirect: false },
      (driver) => {
        driver.write([{ iova: TABLE, length: 16, id: 0, flags: VRING_DESC_F_INDIRECT }]);
      },
      /without RING_INDIRECT_DESC/,
    ],
    [
      'a readable buffer after a writable one',
      {},
      (driver) => {
        driver.write([descriptor(0, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE), descriptor(0, 0)]);
      },
      /device-readable buffer after/,
    ],
  ];
  for (const [name, options, write, message] of broken) {
    it(`breaks on ${name}`, () => {
      const { driver, queue, chain } = setUpPacked(options);
      write(driver);
      breaks(() => queue.take(chain), message);
    });
  }

  it('breaks on a buffer id that is in flight, until its completion is published', () => {
    for (const published of [false, true]) {
      const { driver, queue, chain } = setUpPacked();
      driver.write([descriptor(1, 0)]);
      assert.ok(queue.take(chain));
      driver.write([descriptor(1, 0)]);
      if (published) {
        queue.complete(1, 0);
        queue.publish();
        assert.ok(queue.take(chain));
      } else {
        breaks(() => queue.take(chain), /buffer id 1 is in flight already/);
      }
    }
  });

  it('breaks on more descriptors than the ring has', () => {
    const { driver, queue, chain } = setUpPacked();
    for (let id = 0; id < 8; id++) {
      driver.write([descriptor(id, 0)]);
      assert.ok(queue.take(chain));
    }
    driver.write([descriptor(0, 0)]);
    breaks(() => queue.take(chain), /more available than a queue of 8 has/);
  });

  it('is not mapped if a part is unmapped, misaligned, or without the permissions that it needs', () => {
    const { memory, layout, chains } = setUpPacked();
    const map = (change: Partial<typeof layout>): unknown =>
      PackedQueue.map(memory, { ...layout, ...change }, WRAP_COUNTER, chains);
    memory.map(0x50000, 0x1000, 'r');
    memory.map(0x60000, 0x1000, 'w');
    assert.ok(map({}));
    for (const descriptorArea of [0x900000, RINGS + 8, 0x50000, 0x60000])
      assert.equal(map({ descriptorArea }), undefined);
    for (const driverArea of [0x900000, RINGS + 2, 0x60000]) assert.equal(map({ driverArea }), undefined);
    for (const deviceArea of [0x900000, RINGS + 2, 0x50000]) assert.equal(map({ deviceArea }), undefined);
  });

  it('tells the driver by flags when it wants kicks, and with an event index for which descriptor', () => {
    const { driver, queue } = setUpPacked({ start: 3 });
    queue.disableKicks();
    assert.equal(driver.deviceEvents.flags, VRING_PACKED_EVENT_FLAG_DISABLE);
    queue.enableKicks();
    assert.equal(driver.deviceEvents.flags, VRING_PACKED_EVENT_FLAG_ENABLE);
    const other = setUpPacked({ start: 11, eventIndex: true });
    other.queue.disableKicks();
    assert.equal(other.driver.deviceEvents.flags, VRING_PACKED_EVENT_FLAG_DISABLE);
    other.queue.enableKicks();
    assert.deepEqual(other.driver.deviceEvents, { flags: VRING_PACKED_EVENT_FLAG_DESC, offWrap: 3 }, 'the second lap');
  });

  it('interrupts a driver that waits for a descriptor without having negotiated that', () => {
    const { driver, queue, chain } = setUpPacked();
    driver.waitFor(5);
    driver.write([descriptor(0, 0)]);
    queue.take(chain);
    queue.complete(0, 0);
    queue.publish();
    assert.equal(queue.needsInterrupt(), true);
  });
});

describe('a packed virtqueue that another device continues', () => {
  /** A device that has taken chains of 2, 1, 3 and 1 descriptors, and completed the third and the first. */
  function inFlight(start: number) {
    const parts = setUpPacked({ start });
    const { driver, queue, chain } = parts;
    const heads = [2, 1, 3, 1].map((length, index) => {
      const id = [6, 0, 3, 5][index] ?? 0;
      driver.chainAt(
        id,
        Array.from({ length }, () => ({ iova: DATA + id * 16, length: 8 })),
      );
      driver.offer(id);
      assert.ok(queue.take(chain));
      return id;
    });
    assert.deepEqual(heads, [6, 0, 3, 5]);
    const begin = queue.published;
    queue.complete(3, 33);
    queue.complete(6, 66);
    return { ...parts, begin };
  }

  /** The next device. @param count chains that the last one has begun to publish */
  function continued({ memory, layout, chains, begin }: ReturnType<typeof inFlight>, count: number, heads: number[]) {
    const queue = PackedQueue.map(memory, layout, begin, chains);
    assert.ok(queue);
    queue.finish(count);
    queue.resume(heads);
    return queue;
  }

  it('publishes what the last one has not, and serves what is in flight', () => {
    for (let start = 0; start < 17; start++) {
      const parts = inFlight(start);
      const { driver, chain } = parts;
      const queue = continued(parts, 2, [0, 5]);
      assert.deepEqual(
        [driver.collect(), driver.collect()],
        [
          { head: 3, written: 33 },
          { head: 6, written: 66 },
        ],
      );
      assert.equal(queue.take(chain), false);
      for (const id of [5, 0]) {
        queue.read(id, chain);
        assert.deepEqual([chain.head, chain.count, DATA + chain.offset(0)], [id, 1, DATA + id * 16]);
        queue.complete(id, id);
      }
      driver.write([descriptor(1, 0)]);
      assert.ok(queue.take(chain), 'new ones come after those in flight');
      queue.publish();
      assert.deepEqual(
        [driver.collect(), driver.collect()],
        [
          { head: 5, written: 5 },
          { head: 0, written: 0 },
        ],
      );
    }
  });

  it('publishes nothing twice, even if the driver has reused the descriptors', () => {
    for (let start = 0; start < 17; start++) {
      const parts = inFlight(start);
      const { driver, chain } = parts;
      parts.queue.publish();
      assert.deepEqual(
        [driver.collect(), driver.collect()],
        [
          { head: 3, written: 33 },
          { head: 6, written: 66 },
        ],
      );
      // Six descriptors: five were freed, and one was free; they are those of the used entries.
      for (const id of [3, 6, 1, 2, 4, 7]) driver.write([descriptor(id, 0)]);
      const queue = continued(parts, 2, [0, 5]);
      assert.equal(driver.collect(), undefined);
      const taken = [];
      while (queue.take(chain)) taken.push(chain.head);
      assert.deepEqual(taken, [3, 6, 1, 2, 4, 7]);
    }
  });

  it('publishes again what was written without its first entry, also over stale flags of the driver', () => {
    const { driver, queue, chain, memory, layout, chains } = setUpPacked();
    for (let lap = 0; lap < 6; lap++) {
      driver.write([descriptor(4, VRING_DESC_F_NEXT), descriptor(4, VRING_DESC_F_NEXT), descriptor(4, 0)], false);
      driver.write([descriptor(5, 0)]);
      assert.ok(queue.take(chain));
      assert.ok(queue.take(chain));
      queue.complete(5, 1);
      queue.publish();
      // The next used entry comes where the driver had a descriptor in the middle of a list.
      const begin = queue.published;
      queue.complete(4, 2);
      const next = PackedQueue.map(memory, layout, begin, chains);
      assert.ok(next);
      next.finish(1);
      assert.deepEqual(
        [driver.collect(), driver.collect()],
        [
          { head: 5, written: 1 },
          { head: 4, written: 2 },
        ],
      );
      queue.publish();
    }
  });

  it('breaks on a damaged memory of chains', () => {
    const parts = inFlight(0);
    breaks(() => continued(parts, 0, [1]), /damaged/);
    parts.chains.setChain(0, 4000, 1);
    breaks(() => continued(parts, 0, [0]), /damaged/);
    parts.chains.setChain(0, parts.chains.first(5), 1);
    breaks(() => continued(parts, 0, [0, 5]), /damaged/);
    parts.chains.setChain(0, 0, 4000);
    breaks(() => continued(parts, 0, [0]), /damaged/);
  });
});
