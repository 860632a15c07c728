import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Buffer } from '../../src/virtio/driver/ring-driver.js';
import { DATA, DATA_BYTES, FORMS, RINGS, setUp } from '../support/queue-and-driver.js';

for (const { name: form, packed } of FORMS) {
  describe(`${form} virtqueue`, () => {
    it('gives a chain with its buffers and returns it', () => {
      const { driver, queue, chain, data } = setUp({ packed });
      data.u8.set([1, 2, 3, 4], 0x10);
      const head = driver.chain([
        { iova: DATA + 0x10, length: 4 },
        { iova: DATA + 0x20, length: 8, writable: true },
        { iova: DATA + 0x40, length: 1, writable: true },
      ]);
      assert.equal(queue.take(chain), false);
      driver.offer(head);
      assert.equal(queue.hasPending(), true);
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

    it('gives chains of several rounds, direct and indirect, and returns them in any order', () => {
      const { driver, queue, chain } = setUp({ packed, size: 8 });
      for (let round = 0; round < 20; round++) {
        const heads = [0, 1, 2].map((index) => {
          const buffers = [
            { iova: DATA + index * 16, length: 16 },
            { iova: DATA + 0x100, length: index + 1, writable: true },
          ];
          const table = RINGS + 0x4000 + index * 0x100;
          const head = index === 1 ? driver.indirectChain(buffers, table) : driver.chain(buffers);
          driver.offer(head);
          return head;
        });
        for (const [index, head] of heads.entries()) {
          assert.ok(queue.take(chain));
          assert.deepEqual([chain.head, chain.readableBytes, chain.writableBytes], [head, 16, index + 1]);
        }
        assert.equal(queue.take(chain), false);
        heads.reverse();
        for (const head of heads) queue.complete(head, head);
        assert.equal(queue.completed, 3);
        queue.publish();
        assert.deepEqual([queue.completed, queue.published], [0, queue.nextUsed]);
        for (const head of heads) assert.deepEqual(driver.collect(), { head, written: head });
      }
    });

    it('splits a buffer that spans two regions', () => {
      const { memory, driver, queue, chain } = setUp({ packed });
      memory.map(DATA + DATA_BYTES, 0x1000);
      driver.offer(driver.chain([{ iova: DATA + DATA_BYTES - 100, length: 300, writable: true }]));
      queue.take(chain);
      assert.equal(chain.fault, undefined);
      assert.deepEqual([chain.length(0), chain.length(1), chain.offset(1)], [100, 200, 0]);
      const sink = {
        count: 0,
        capacity: 2,
        pieces: [] as number[],
        push: (_: number, n: number) => void pieces.push(n),
      };
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
        const { memory, driver, queue, chain, data } = setUp({ packed });
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

    it('puts chains back, and takes them again', () => {
      const { driver, queue, chain } = setUp({ packed, start: 7 });
      const heads = [1, 2, 1].map((length) => {
        const head = driver.chain(Array.from({ length }, () => ({ iova: DATA, length: 8 })));
        driver.offer(head);
        return head;
      });
      const take = (): number => (queue.take(chain) ? chain.head : -1);
      assert.deepEqual([take(), take(), take(), take()], [...heads, -1]);
      queue.putBack(2);
      assert.deepEqual([take(), take(), take()], [heads[1], heads[2], -1]);
      queue.putBack(3);
      queue.putBack(0);
      assert.deepEqual([take(), take(), take(), take()], [...heads, -1]);
    });

    it('interrupts a driver that does not suppress it, once for what is published together', () => {
      const { driver, queue, chain } = setUp({ packed });
      const answer = (): void => {
        driver.offer(driver.chain([{ iova: DATA, length: 8 }]));
        queue.take(chain);
        queue.complete(chain.head, 0);
      };
      assert.equal(queue.needsInterrupt(), false);
      answer();
      answer();
      queue.publish();
      assert.equal(queue.needsInterrupt(), true);
      assert.equal(queue.needsInterrupt(), false);
      driver.suppressInterrupts();
      answer();
      queue.publish();
      assert.equal(queue.needsInterrupt(), false);
    });

    it('interrupts at the entry that the driver waits for, wherever it is in the ring', () => {
      for (let start = 0; start < 20; start++) {
        for (let waited = 1; waited <= 6; waited++) {
          const { driver, queue, chain } = setUp({ packed, eventIndex: true, start });
          driver.waitFor(waited);
          for (let count = 1; count <= 7; count++) {
            driver.offer(driver.chain([{ iova: DATA, length: 8 }]));
            queue.take(chain);
            queue.complete(chain.head, 0);
            if (count % 2 === 1 && count < 7) continue;
            queue.publish();
            const wanted = waited === count || (waited === count - 1 && count < 7);
            assert.equal(queue.needsInterrupt(), wanted, `${waited} of ${count} from ${start} on`);
          }
        }
      }
    });

    for (const eventIndex of [false, true]) {
      it(`asks for kicks ${eventIndex ? 'with' : 'without'} an event index, and notices what arrives meanwhile`, () => {
        for (let start = 0; start < 20; start++) {
          const { driver, queue, chain } = setUp({ packed, eventIndex, start });
          const offer = (): void => {
            driver.offer(driver.chain([{ iova: DATA, length: 8 }]));
          };
          const answer = (): void => {
            assert.ok(queue.take(chain));
            queue.complete(chain.head, 0);
            queue.publish();
          };
          const wantsKick = (): boolean => (eventIndex ? driver.needsKick() : !driver.suppressesKicks);
          offer();
          answer();
          driver.needsKick();
          queue.disableKicks();
          offer();
          assert.equal(wantsKick(), false);
          assert.equal(queue.enableKicks(), true, 'it is there already');
          answer();
          assert.equal(queue.enableKicks(), false);
          offer();
          assert.equal(wantsKick(), true);
          answer();
          offer();
          offer();
          driver.needsKick();
          while (queue.take(chain));
          queue.putBack(2);
          assert.equal(queue.enableKicks(true), false, 'both are known');
          offer();
          assert.equal(wantsKick(), true);
          assert.equal(queue.enableKicks(true), true, 'the third is new');
        }
      });
    }
  });
}
