import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VRING_DESC_F_INDIRECT } from '../../src/virtio/ring.js';
import { BrokenRingError } from '../../src/virtio/split-queue.js';
import type { Buffer } from '../support/ring-driver.js';
import { DATA, DATA_BYTES, RINGS, setUp } from '../support/queue-and-driver.js';

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

  it('returns the chains of a correct driver in order, and the driver gets the data of the device', () => {
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
          const { rings, driver, queue, chain } = setUp({ size });
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
        },
      ),
      { numRuns: 2000 },
    );
  });
});
