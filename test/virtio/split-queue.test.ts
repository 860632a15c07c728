import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../src/virtio/ring.js';
import { BrokenRingError, SplitQueue } from '../../src/virtio/split-queue.js';
import { PlainMemory } from '../support/plain-memory.js';
import { RingDriver, type Buffer } from '../support/ring-driver.js';

const RINGS = 0x10000;
const DATA = 0x100000;
const DATA_BYTES = 0x10000;

interface Options {
  size?: number;
  eventIndex?: boolean;
  indirect?: boolean;
  maxChain?: number;
  start?: number;
}

function setUp({ size = 8, eventIndex = false, indirect = true, maxChain = size, start = 0 }: Options = {}) {
  const memory = new PlainMemory();
  const rings = memory.map(RINGS, 0x8000);
  const data = memory.map(DATA, DATA_BYTES);
  const driver = new RingDriver(rings.u8.buffer as ArrayBuffer, RINGS, RINGS, size);
  driver.setAvailableIndex(start);
  driver.usedIndex = start;
  driver.seenUsed = start;
  const { descriptorTable, availableRing, usedRing } = driver;
  const layout = { size, descriptorTable, availableRing, usedRing, eventIndex, indirect, maxChain };
  const queue = SplitQueue.map(memory, layout, start);
  assert.ok(queue);
  return { memory, rings, data, driver, queue, layout, chain: new DescriptorChain(maxChain * 2) };
}

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
    chain.writeLastByte(5);
    assert.equal(data.u8[0x40], 5);
    queue.complete(chain.head, 9);
    assert.equal(driver.collect(), undefined);
    queue.publish();
    assert.deepEqual(driver.collect(), { head, written: 9 });
  });

  it('takes an indirect table, also one that lies across two regions', () => {
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

  it('splits a buffer that lies across two regions', () => {
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
    ['an address that is not mapped', [{ iova: 0x900000, length: 16 }], /no memory is mapped/],
    ['an address above 2^53', [{ iova: 2n ** 60n, length: 16 }], /no memory is mapped/],
    ['a range that wraps around', [{ iova: 2n ** 64n - 8n, length: 16 }], /no memory is mapped/],
    ['a range that leaves its region', [{ iova: DATA + DATA_BYTES - 8, length: 16 }], /no memory is mapped/],
    ['a buffer without a byte', [{ iova: DATA, length: 0 }], /without a byte/],
    ['memory that is only to be read', [{ iova: 0x50000, length: 8, writable: true }], /without that permission/],
    ['memory that is only to be written', [{ iova: 0x60000, length: 8 }], /without that permission/],
  ];
  for (const [name, buffers, message] of faults) {
    it(`notes ${name}, and the status byte after it stays in reach`, () => {
      const { memory, driver, queue, chain, data } = setUp();
      memory.map(0x50000, 0x1000, 'r');
      memory.map(0x60000, 0x1000, 'w');
      driver.offer(driver.chain([...buffers, { iova: DATA, length: 1, writable: true }]));
      assert.equal(queue.take(chain), true);
      assert.match(chain.fault ?? '', message);
      assert.equal(chain.endWritable, true);
      chain.writeLastByte(77);
      assert.equal(data.u8[0], 77);
      driver.offer(driver.chain(buffers));
      queue.take(chain);
      assert.equal(chain.endWritable, false);
      chain.writeLastByte(78);
    });
  }

  const broken: [string, Options, (driver: RingDriver) => number, RegExp][] = [
    ['a head out of range', {}, () => 8, /descriptor 8 in a queue of 8/],
    [
      'a next descriptor out of range',
      {},
      (driver) => (driver.descriptor(0, DATA, 8, VRING_DESC_F_NEXT, 8), 0),
      /descriptor 8 in a table of 8/,
    ],
    [
      'a chain that loops',
      {},
      (driver) => {
        driver.descriptor(0, DATA, 8, VRING_DESC_F_NEXT, 1);
        driver.descriptor(1, DATA, 8, VRING_DESC_F_NEXT, 0);
        return 0;
      },
      /loops/,
    ],
    [
      'a chain that is longer than the queue',
      { maxChain: 8 },
      (driver) =>
        driver.indirectChain(
          Array.from({ length: 9 }, () => ({ iova: DATA, length: 8 })),
          RINGS + 0x4000,
        ),
      /indirect table of 144 bytes/,
    ],
    [
      'an indirect table in an indirect table',
      {},
      (driver) => {
        driver.descriptor(0, RINGS + 0x4100, 16, VRING_DESC_F_INDIRECT, 0, RINGS + 0x4000);
        driver.descriptor(0, RINGS + 0x4000, 16, VRING_DESC_F_INDIRECT);
        return 0;
      },
      /indirect descriptor in an indirect table/,
    ],
    [
      'an indirect table of odd length',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 24, VRING_DESC_F_INDIRECT), 0),
      /table of 24 bytes/,
    ],
    [
      'an empty indirect table',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 0, VRING_DESC_F_INDIRECT), 0),
      /table of 0 bytes/,
    ],
    [
      'an indirect table that is not mapped',
      {},
      (driver) => (driver.descriptor(0, 0x900000, 32, VRING_DESC_F_INDIRECT), 0),
      /no memory is mapped/,
    ],
    [
      'an indirect descriptor with a next one',
      {},
      (driver) => (driver.descriptor(0, RINGS + 0x4000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1), 0),
      /with a next one/,
    ],
    [
      'an indirect descriptor that was not negotiated',
      { indirect: false },
      (driver) => driver.indirectChain([{ iova: DATA, length: 8 }], RINGS + 0x4000),
      /not negotiated/,
    ],
    [
      'a buffer to read after one to write',
      {},
      (driver) =>
        driver.chain([
          { iova: DATA, length: 8, writable: true },
          { iova: DATA, length: 8 },
        ]),
      /read after a buffer to write/,
    ],
  ];
  for (const [name, options, write, message] of broken) {
    it(`breaks on ${name}`, () => {
      const { driver, queue, chain } = setUp(options);
      driver.offer(write(driver));
      breaks(() => queue.take(chain), message);
    });
  }

  it('breaks on an available index that is further ahead than the queue is long', () => {
    const { driver, queue, chain } = setUp();
    driver.setAvailableIndex(9);
    breaks(() => queue.pending(), /9 ahead in a queue of 8/);
    breaks(() => queue.take(chain), /9 ahead/);
    breaks(() => queue.enableKicks(), /9 ahead/);
    driver.setAvailableIndex(-1);
    breaks(() => queue.pending(), /65535 ahead/);
  });

  it('is not mapped where a ring is not mapped, not aligned, or not to be written', () => {
    const { memory, layout } = setUp();
    assert.equal(SplitQueue.map(memory, { ...layout, descriptorTable: 0x900000 }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, availableRing: RINGS + 0x7fff }, 0), undefined);
    assert.equal(SplitQueue.map(memory, { ...layout, usedRing: RINGS + 2 }, 0), undefined);
    memory.map(0x50000, 0x1000, 'r');
    assert.equal(SplitQueue.map(memory, { ...layout, usedRing: 0x50000 }, 0), undefined);
  });

  it('goes on where the used ring ends, for a device that was stopped', () => {
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

  it('heeds flags where there is no event index', () => {
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

  it('heeds the event index, across the end of the count too', () => {
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

describe('split virtqueue, any driver', () => {
  const buffer = fc.record({
    iova: fc.integer({ min: DATA, max: DATA + DATA_BYTES - 256 }),
    length: fc.integer({ min: 1, max: 256 }),
  });
  const request = fc.record({
    readable: fc.array(buffer, { maxLength: 3 }),
    writable: fc.array(buffer, { minLength: 1, maxLength: 3 }),
    indirect: fc.boolean(),
    written: fc.nat(1000),
  });

  it('gives what an honest driver offers, in order, and it gets back what the device wrote', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(request, { minLength: 1, maxLength: 4 }), { maxLength: 40 }),
        fc.nat(65535),
        fc.boolean(),
        (rounds, start, eventIndex) => {
          const { driver, queue, chain } = setUp({ size: 64, start, eventIndex });
          for (const requests of rounds) {
            const offered = requests.map((one, slot) => {
              const buffers: Buffer[] = [
                ...one.readable,
                ...one.writable.map((piece) => ({ ...piece, writable: true })),
              ];
              const head = one.indirect
                ? driver.indirectChain(buffers, RINGS + 0x4000 + slot * 0x100)
                : driver.chain(buffers);
              driver.offer(head);
              return { head, buffers, written: one.written };
            });
            for (const one of offered) {
              assert.equal(queue.take(chain), true);
              assert.equal(chain.head, one.head);
              assert.equal(chain.fault, undefined);
              assert.equal(chain.count, one.buffers.length);
              one.buffers.forEach((piece, index) => {
                assert.equal(DATA + chain.offset(index), piece.iova);
                assert.equal(chain.length(index), piece.length);
                assert.equal(index >= chain.readableCount, piece.writable === true);
              });
              queue.complete(chain.head, one.written);
            }
            assert.equal(queue.take(chain), false);
            queue.publish();
            for (const { head, written } of offered) assert.deepEqual(driver.collect(), { head, written });
          }
        },
      ),
    );
  });

  it('withstands rings of any bytes: it breaks or gives chains within the memory', () => {
    const size = 16;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: size * 16, maxLength: size * 16 }),
        fc.uint8Array({ minLength: 0x100, maxLength: 0x100 }),
        fc.array(fc.nat(size + 1), { minLength: 1, maxLength: size }),
        fc.array(fc.tuple(fc.nat(size - 1), fc.nat(DATA_BYTES), fc.nat(0x4000), fc.nat(7), fc.nat(size))),
        fc.nat(size + 2),
        (table, indirect, heads, descriptors, ahead) => {
          const { rings, driver, queue, chain } = setUp({ size });
          rings.u8.set(table, 0);
          rings.u8.set(indirect, 0x4000);
          // Random bytes alone are seldom an address that is mapped: lay plausible descriptors among them.
          for (const [index, offset, length, flags, next] of descriptors) {
            const iova = (flags & VRING_DESC_F_INDIRECT) !== 0 ? RINGS + 0x4000 : DATA + offset;
            driver.descriptor(index, iova, length, flags, next);
          }
          heads.forEach((head) => {
            driver.offer(head);
          });
          driver.setAvailableIndex(ahead);
          try {
            let taken = 0;
            while (queue.take(chain)) {
              assert.ok(++taken <= size);
              let readable = 0;
              let writable = 0;
              for (let index = 0; index < chain.count; index++) {
                const region = chain.region(index);
                assert.ok(chain.length(index) > 0);
                assert.ok(chain.offset(index) + chain.length(index) <= region.end - region.start);
                if (index < chain.readableCount) readable += chain.length(index);
                else writable += chain.length(index);
              }
              assert.deepEqual([chain.readableBytes, chain.writableBytes], [readable, writable]);
              chain.writeLastByte(0);
              queue.complete(chain.head, 0);
            }
            queue.publish();
          } catch (error) {
            assert.ok(error instanceof BrokenRingError, String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
