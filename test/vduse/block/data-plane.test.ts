import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as blk from '../../../src/virtio/block.js';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import type { Operation } from '../../../src/vduse/block/backend.js';
import { BlockPlane } from '../../../src/vduse/block/data-plane.js';
import { MORE, WAIT } from '../../../src/vduse/engine/data-plane.js';
import { MemoryRevokedError, type QueueOwner } from '../../../src/vduse/engine/queue.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';

const MIB = 2 ** 20;
const SIZE = 2 ** 40;
const QUEUE_SIZE = 64;
const REQUESTS = 16;
/** Less than a file system at 10 MiB per second writes in the 10 seconds after which a thread is abandoned. */
const MOST_BYTES = 64 * MIB;

const limits = blockLimits({ size: SIZE, readonly: false }, 'limits');

interface Thread extends Partial<QueueOwner> {
  /** Called while the backend executes operations. */
  readonly onExecute?: () => void;
}

/** A plane whose backend only counts, and a queue full of the largest requests. */
function flooded(type: number, ranges: number, sectors: number, thread: Thread = {}) {
  const { onExecute = () => undefined, ...owner } = thread;
  const { queue, driver, data, interrupts } = setUpDeviceQueue({ size: QUEUE_SIZE, owner });
  const view = new DataView(data.u8.buffer);
  const batches: number[] = [];
  const submitted: Operation[] = [];
  for (let request = 0; request < REQUESTS; request++) {
    const at = request * 0x400;
    view.setUint32(at, type, true);
    for (let range = 0; range < ranges; range++) {
      view.setBigUint64(at + 16 + range * 16, BigInt(range * sectors), true);
      view.setUint32(at + 24 + range * 16, sectors, true);
    }
    driver.offer(
      driver.chain([
        { iova: DATA + at, length: 16 },
        { iova: DATA + at + 16, length: ranges * 16 },
        { iova: DATA + at + 0x300, length: 1, writable: true },
      ]),
    );
  }
  const plane = new BlockPlane(
    limits,
    {
      submit: (operation) => void submitted.push(operation),
      reap: (done) => {
        if (submitted.length === 0) return;
        onExecute();
        batches.push(submitted.reduce((sum, { length }) => sum + length, 0));
        for (const operation of submitted.splice(0)) done(operation);
      },
      close: () => undefined,
    },
    { queueSize: QUEUE_SIZE, ordered: false },
  );
  return {
    plane,
    queue,
    driver,
    batches,
    interrupts,
    statusOf: (request: number) => view.getUint8(request * 0x400 + 0x300),
  };
}

describe('the largest requests to write zeros and to discard', () => {
  test('zeros: a batch is no more than a slow file system can write before its thread is abandoned', () => {
    const { maxWriteZeroesRanges: ranges, maxWriteZeroesSectors: sectors } = limits;
    const { plane, queue, batches, statusOf } = flooded(blk.VIRTIO_BLK_T_WRITE_ZEROES, ranges, sectors);
    let served = plane.serve(queue);
    while (served === MORE) served = plane.serve(queue);
    assert.equal(served, WAIT);
    assert.equal(statusOf(REQUESTS - 1), blk.VIRTIO_BLK_S_OK);
    assert.equal(
      batches.reduce((sum, bytes) => sum + bytes, 0),
      REQUESTS * ranges * sectors * blk.SECTOR_SIZE,
    );
    assert.ok(Math.max(...batches) <= MOST_BYTES, `${Math.max(...batches) / MIB} MiB in a batch`);
  });

  test('discards: a batch has only a few', () => {
    const { maxDiscardRanges: ranges, maxDiscardSectors: sectors } = limits;
    const { plane, queue, batches } = flooded(blk.VIRTIO_BLK_T_DISCARD, ranges, sectors);
    for (let served = plane.serve(queue); served === MORE; served = plane.serve(queue));
    assert.ok(Math.max(...batches) <= 2 ** 30, `${Math.max(...batches) / MIB} MiB in a batch`);
  });

  test('serving ends after a batch when the main thread waits', () => {
    const { maxWriteZeroesRanges: ranges, maxWriteZeroesSectors: sectors } = limits;
    const { plane, queue, batches } = flooded(blk.VIRTIO_BLK_T_WRITE_ZEROES, ranges, sectors, {
      hasPendingCommand: () => true,
    });
    assert.equal(plane.serve(queue), MORE);
    assert.equal(batches.length, 1);
  });
});

describe('revoked guest memory', () => {
  const request = [blk.VIRTIO_BLK_T_WRITE_ZEROES, 1, 8] as const;

  test('after requests were read: none is executed, since they may be incomplete', () => {
    const { plane, queue, batches, driver, interrupts } = flooded(...request, { isRevoked: () => true });
    assert.throws(() => plane.serve(queue), MemoryRevokedError);
    assert.deepEqual(batches, []);
    assert.equal(driver.usedIndex, 0);
    assert.deepEqual(interrupts, []);
  });

  test('during the execution of requests: the used index does not include them', () => {
    let revoked = false;
    const { plane, queue, batches, driver } = flooded(...request, {
      isRevoked: () => revoked,
      onExecute: () => (revoked = true),
    });
    assert.throws(() => plane.serve(queue), MemoryRevokedError);
    assert.equal(batches.length, 1);
    assert.equal(driver.usedIndex, 0);
  });
});
