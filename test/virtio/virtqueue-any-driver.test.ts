import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { VRING_DESC_F_INDIRECT } from '../../src/virtio/split-ring.js';
import { BrokenRingError, type Virtqueue } from '../../src/virtio/virtqueue.js';
import type { Buffer } from '../../src/virtio/driver/ring-driver.js';
import { DATA, DATA_BYTES, FORMS, RINGS, setUp, setUpPacked, setUpSplit } from '../support/queue-and-driver.js';

const buffer = fc.record({
  iova: fc.integer({ min: DATA, max: DATA + DATA_BYTES - 256 }),
  length: fc.integer({ min: 1, max: 256 }),
});
const request = fc.record({
  readable: fc.array(buffer, { maxLength: 3 }),
  writable: fc.array(buffer, { minLength: 1, maxLength: 3 }),
  indirect: fc.boolean(),
  written: fc.integer({ min: 1, max: 1000 }),
});
/** What a driver and a device do, one after the other; numbers choose among what is possible then. */
const step = fc.oneof(
  fc.record({ type: fc.constant('offer' as const), request }),
  fc.record({ type: fc.constant('take' as const), count: fc.integer({ min: 1, max: 4 }), putBack: fc.nat(3) }),
  fc.record({ type: fc.constant('complete' as const), which: fc.nat() }),
  fc.record({ type: fc.constant('publish' as const) }),
  fc.record({ type: fc.constant('collect' as const) }),
);

interface Offered {
  readonly head: number;
  readonly buffers: readonly Buffer[];
  readonly descriptors: number;
  readonly written: number;
}

/** A chain has the buffers that the driver has offered. */
function isChain(chain: DescriptorChain, { head, buffers }: Offered): void {
  assert.deepEqual([chain.head, chain.fault, chain.count], [head, undefined, buffers.length]);
  buffers.forEach((piece, index) => {
    assert.equal(DATA + chain.offset(index), piece.iova);
    assert.equal(chain.length(index), piece.length);
    assert.equal(index >= chain.readableCount, piece.writable === true);
  });
}

/** Takes everything there is of a hostile driver, and completes it. */
function serveAll(queue: Virtqueue, chain: DescriptorChain, size: number): void {
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
      if (chain.endWritable) chain.writeByte(chain.writableBytes - 1, 0);
      queue.complete(chain.head, 0);
    }
    queue.publish();
  } catch (error) {
    assert.ok(error instanceof BrokenRingError, String(error));
  }
}

for (const { name, packed } of FORMS) {
  describe(`${name} virtqueue, any driver`, () => {
    it('gives a correct driver its chains in order, and their answers in the order of completion', () => {
      const SIZE = 16;
      fc.assert(
        fc.property(fc.array(step, { maxLength: 150 }), fc.nat(65535), fc.boolean(), (steps, start, eventIndex) => {
          const { driver, queue, chain } = setUp({ packed, size: SIZE, start, eventIndex, maxChain: SIZE });
          const offered: Offered[] = [];
          const taken: Offered[] = [];
          const completed: Offered[] = [];
          const published: Offered[] = [];
          let free = SIZE;
          /** Heads that are not in flight: a split queue's chain has the descriptors after its head, too. */
          const slots = new Set([0, 4, 8, 12].flatMap((head) => (packed ? [head, head + 1, head + 2] : [head])));
          for (const each of steps) {
            switch (each.type) {
              case 'offer': {
                const { readable, writable, written } = each.request;
                const buffers = [...readable, ...writable.map((piece) => ({ ...piece, writable: true }))];
                const indirect = each.request.indirect || buffers.length > 4;
                const descriptors = indirect ? 1 : buffers.length;
                const [head] = slots;
                if (head === undefined || descriptors > free) break;
                slots.delete(head);
                free -= descriptors;
                if (indirect) driver.indirectChainAt(head, buffers, RINGS + 0x4000 + head * 0x100);
                else driver.chainAt(head, buffers);
                driver.offer(head);
                offered.push({ head, buffers, descriptors, written });
                break;
              }
              case 'take':
                for (let count = 0; count < each.count; count++) {
                  assert.equal(queue.hasPending(), offered.length > 0);
                  assert.equal(queue.take(chain), offered.length > 0);
                  const [next] = offered;
                  if (next === undefined) break;
                  isChain(chain, next);
                  taken.push(...offered.splice(0, 1));
                  if (count !== each.putBack) continue;
                  queue.putBack(1);
                  offered.unshift(...taken.splice(-1));
                  break;
                }
                break;
              case 'complete': {
                const [one] = taken.splice(each.which % Math.max(1, taken.length), 1);
                if (one === undefined) break;
                queue.complete(one.head, one.written);
                completed.push(one);
                assert.equal(queue.completed, completed.length);
                break;
              }
              case 'publish':
                queue.publish();
                published.push(...completed.splice(0));
                break;
              case 'collect':
                for (const { head, written, descriptors } of published.splice(0)) {
                  assert.deepEqual(driver.collect(), { head, written });
                  slots.add(head);
                  free += descriptors;
                }
                assert.equal(driver.collect(), undefined);
                break;
            }
          }
        }),
        { numRuns: 500 },
      );
    });
  });
}

describe('split virtqueue, any ring', () => {
  it('withstands rings of any content: it breaks, or returns chains within the memory', () => {
    const size = 16;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: size * 16, maxLength: size * 16 }),
        fc.uint8Array({ minLength: 0x100, maxLength: 0x100 }),
        fc.array(fc.nat(size + 1), { minLength: 1, maxLength: size }),
        fc.array(fc.tuple(fc.nat(size - 1), fc.nat(DATA_BYTES), fc.nat(0x4000), fc.nat(7), fc.nat(size))),
        fc.nat(size + 2),
        (table, indirect, heads, descriptors, ahead) => {
          const { rings, driver, queue, chain } = setUpSplit({ size });
          rings.u8.set(table, 0);
          rings.u8.set(indirect, 0x4000);
          // Random bytes alone are rarely a mapped address: add plausible descriptors.
          for (const [index, offset, length, flags, next] of descriptors) {
            const iova = (flags & VRING_DESC_F_INDIRECT) !== 0 ? RINGS + 0x4000 : DATA + offset;
            driver.descriptor(index, iova, length, flags, next);
          }
          heads.forEach((head) => {
            driver.offer(head);
          });
          driver.setAvailableIndex(ahead);
          serveAll(queue, chain, size);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('packed virtqueue, any ring', () => {
  it('withstands rings of any content: it breaks, or returns chains within the memory', () => {
    for (const size of [16, 13]) {
      fc.assert(
        fc.property(
          fc.uint8Array({ minLength: size * 16 + 8, maxLength: size * 16 + 8 }),
          fc.uint8Array({ minLength: 0x100, maxLength: 0x100 }),
          fc.array(fc.tuple(fc.nat(size - 1), fc.nat(DATA_BYTES), fc.nat(0x4000), fc.nat(7), fc.nat(size))),
          fc.uint8Array({ minLength: size, maxLength: size }),
          fc.nat(size * 4),
          (ring, indirect, descriptors, available, start) => {
            const { rings, driver, queue, chain } = setUpPacked({ size, start });
            rings.u8.set(ring, 0);
            rings.u8.set(indirect, 0x4000);
            for (const [index, offset, length, flags, id] of descriptors) {
              const iova = (flags & VRING_DESC_F_INDIRECT) !== 0 ? RINGS + 0x4000 : DATA + offset;
              driver.tableEntry(index, { iova, length, id, flags }, driver.descriptorArea);
            }
            available.forEach((byte, index) => {
              if (byte > 40) driver.setFlags(index, driver.flags(index) ^ 0x80);
            });
            for (let round = 0; round < 3; round++) {
              serveAll(queue, chain, size);
              queue.needsInterrupt();
              queue.enableKicks(true);
            }
          },
        ),
        { numRuns: 2000 },
      );
    }
  });
});
