import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../../../src/sys/errno.js';
import * as blk from '../../../src/virtio/block.js';
import {
  DISCARD,
  FLUSH,
  READ,
  WRITE,
  WRITE_ZEROES,
  type BlockBackend,
  type Operation,
} from '../../../src/vduse/block/backend.js';
import type { BlockLimits } from '../../../src/vduse/block/data-plane.js';
import { WAIT } from '../../../src/vduse/engine/data-plane.js';
import { FunctionBackend } from '../../support/block-operations.js';
import { Disk, range, type DriverRequest } from './disk-and-driver.js';

const SIZE = 64 * 512;
const { VIRTIO_BLK_S_OK: OK, VIRTIO_BLK_S_IOERR: IOERR, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;

/** An operation for the backend, without its memory. */
type Seen = Pick<Operation, 'type' | 'position' | 'length' | 'unmap'>;

/** A disk whose backend records its operations, and fails on request. */
function watchedDisk(
  options: { readonly limits?: Partial<BlockLimits>; readonly features?: bigint; readonly size?: number } = {},
  fail: (operation: Operation) => number = () => 0,
) {
  const seen: Seen[] = [];
  const resized: number[] = [];
  let closed = 0;
  const disk = new Disk(
    new FunctionBackend({
      execute: (operation) => {
        const { type, position, length, unmap } = operation;
        seen.push({ type, position, length, unmap });
        return fail(operation);
      },
      resize: (size) => void resized.push(size),
      close: () => closed++,
    }),
    { size: SIZE, ...options },
  );
  return { disk, seen, resized, closed: () => closed };
}

const sector = new Uint8Array(512).fill(0xab);

describe('reads and writes', () => {
  test('are operations at the byte offset of their sector, and complete in order', () => {
    const { disk, seen } = watchedDisk();
    const heads = [
      disk.request({ type: blk.VIRTIO_BLK_T_OUT, sector: 3, out: sector }),
      disk.request({ type: blk.VIRTIO_BLK_T_IN, sector: 63, in: 512 }),
    ];
    const results = disk.results();
    assert.deepEqual(
      results.map(({ head }) => head),
      heads,
    );
    assert.deepEqual(
      results.map(({ result }) => [result.status, result.written]),
      [
        [OK, 1],
        [OK, 513],
      ],
    );
    assert.deepEqual(seen, [
      { type: WRITE, position: 3 * 512, length: 512, unmap: false },
      { type: READ, position: 63 * 512, length: 512, unmap: false },
    ]);
    const { requests, bytesIn, bytesOut, errors, interrupts } = disk.counters;
    assert.deepEqual([requests, bytesIn, bytesOut, errors, interrupts], [2, 512, 512, 0, 1]);
    assert.equal(disk.interrupts, 1);
  });

  const invalid: readonly (readonly [string, DriverRequest])[] = [
    ['a read that ends after the disk', { type: blk.VIRTIO_BLK_T_IN, sector: 63, in: 1024 }],
    ['a write that ends after the disk', { type: blk.VIRTIO_BLK_T_OUT, sector: 64, out: sector }],
    ['a sector beyond the safe integers', { type: blk.VIRTIO_BLK_T_IN, sector: 2n ** 44n, in: 512 }],
    ['the highest possible sector', { type: blk.VIRTIO_BLK_T_OUT, sector: 2n ** 64n - 1n, out: sector }],
    ['a read of less than a sector', { type: blk.VIRTIO_BLK_T_IN, in: 511 }],
    ['a write of more than a sector and less than two', { type: blk.VIRTIO_BLK_T_OUT, out: new Uint8Array(513) }],
  ];
  for (const [what, request] of invalid) {
    test(`only ${what} fails, and the backend is not called`, () => {
      const { disk, seen } = watchedDisk();
      disk.request(request);
      disk.request({ type: blk.VIRTIO_BLK_T_IN, in: 512 });
      const [bad, good] = disk.results();
      assert.equal(bad?.result.status, IOERR);
      assert.ok(
        bad.result.data.every((byte) => byte === 0xee),
        'its data is unchanged',
      );
      assert.equal(good?.result.status, OK);
      assert.equal(seen.length, 1);
      assert.equal(disk.counters['errors'], 1);
    });
  }

  test('of zero bytes succeed without an operation', () => {
    const { disk, seen } = watchedDisk();
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_IN, sector: 64 }).status, OK);
    assert.deepEqual(seen, []);
  });

  test('that fail in the backend: the driver gets an error and no data', () => {
    const { disk } = watchedDisk({}, ({ type }) => (type === READ ? Errno.EIO : Errno.EOPNOTSUPP));
    const { status, written } = disk.do({ type: blk.VIRTIO_BLK_T_IN, in: 512 });
    // The status byte follows data that was not written: nothing counts as written.
    assert.deepEqual([status, written], [IOERR, 0]);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_OUT, out: sector }).status, UNSUPP);
    assert.deepEqual([disk.counters['errors'], disk.counters['bytesIn'], disk.counters['bytesOut']], [2, 0, 0]);
  });

  test('of a read-only disk: only reads reach the backend', () => {
    const { disk, seen } = watchedDisk({ limits: { readonly: true } });
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_OUT, out: sector }).status, IOERR);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_DISCARD, out: range(0, 1) }).status, IOERR);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_WRITE_ZEROES, out: range(0, 1) }).status, IOERR);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_IN, in: 512 }).status, OK);
    assert.deepEqual(
      seen.map(({ type }) => type),
      [READ],
    );
  });
});

describe('flushes', () => {
  test('are separate operations, whose errors the driver gets', () => {
    const { disk, seen } = watchedDisk({}, () => Errno.EIO);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_FLUSH }).status, IOERR);
    assert.deepEqual(
      seen.map(({ type }) => type),
      [FLUSH],
    );
  });

  test('a driver without them: its writes are durable when they complete', () => {
    const { disk, seen } = watchedDisk({ features: 0n });
    disk.request({ type: blk.VIRTIO_BLK_T_OUT, out: sector });
    disk.request({ type: blk.VIRTIO_BLK_T_WRITE_ZEROES, out: range(1, 1) });
    disk.results();
    assert.deepEqual(
      seen.map(({ type }) => type),
      [WRITE, WRITE_ZEROES, FLUSH, FLUSH],
    );
    disk.do({ type: blk.VIRTIO_BLK_T_IN, in: 512 });
    assert.equal(seen.at(-1)?.type, READ, 'reads need none');
  });

  test('a driver without them: writes that do not become durable fail, reads in the same batch do not', () => {
    const { disk } = watchedDisk({ features: 0n }, ({ type }) => (type === FLUSH ? Errno.EIO : 0));
    const heads = [
      disk.request({ type: blk.VIRTIO_BLK_T_OUT, out: sector }),
      disk.request({ type: blk.VIRTIO_BLK_T_IN, in: 512 }),
    ];
    const statuses = new Map(disk.results().map(({ head, result }) => [head, result.status]));
    assert.deepEqual(
      heads.map((head) => statuses.get(head)),
      [IOERR, OK],
    );
  });
});

describe('discards and zeros', () => {
  const two = (first: Uint8Array, second: Uint8Array): Uint8Array => Uint8Array.from([...first, ...second]);

  test('are one operation per range; empty ranges are none', () => {
    const { disk, seen } = watchedDisk();
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_DISCARD, out: two(range(2, 4), range(9, 0)) }).status, OK);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_WRITE_ZEROES, out: range(8, 8, 1) }).status, OK);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_WRITE_ZEROES, out: range(8, 8) }).status, OK);
    assert.deepEqual(seen, [
      { type: DISCARD, position: 1024, length: 2048, unmap: false },
      { type: WRITE_ZEROES, position: 4096, length: 4096, unmap: true },
      { type: WRITE_ZEROES, position: 4096, length: 4096, unmap: false },
    ]);
  });

  const limits = { maxDiscardSectors: 8, maxDiscardRanges: 2, maxWriteZeroesSectors: 8, maxWriteZeroesRanges: 1 };
  const invalid: readonly (readonly [string, number, Uint8Array, number])[] = [
    ['no range', blk.VIRTIO_BLK_T_DISCARD, new Uint8Array(0), IOERR],
    ['a part of a range', blk.VIRTIO_BLK_T_DISCARD, range(0, 1).subarray(0, 15), IOERR],
    ['more ranges than allowed', blk.VIRTIO_BLK_T_WRITE_ZEROES, two(range(0, 1), range(1, 1)), IOERR],
    ['more sectors than allowed', blk.VIRTIO_BLK_T_DISCARD, range(0, 9), IOERR],
    ['sectors after the end of the disk', blk.VIRTIO_BLK_T_WRITE_ZEROES, range(60, 5), IOERR],
    ['a sector beyond the safe integers', blk.VIRTIO_BLK_T_DISCARD, range(2n ** 44n, 1), IOERR],
    ['a flag that is only for zeros', blk.VIRTIO_BLK_T_DISCARD, range(0, 1, 1), UNSUPP],
    ['an unknown flag', blk.VIRTIO_BLK_T_WRITE_ZEROES, range(0, 1, 2), UNSUPP],
    ['a good range before an invalid one', blk.VIRTIO_BLK_T_DISCARD, two(range(0, 1), range(64, 1)), IOERR],
  ];
  for (const [what, type, out, status] of invalid) {
    test(`with ${what} are rejected as a whole`, () => {
      const { disk, seen } = watchedDisk({ limits });
      disk.request({ type, out });
      disk.request({ type: blk.VIRTIO_BLK_T_OUT, sector: 5, out: sector });
      assert.deepEqual(
        disk.results().map(({ result }) => result.status),
        [status, OK],
      );
      assert.deepEqual(seen, [{ type: WRITE, position: 5 * 512, length: 512, unmap: false }]);
    });
  }
});

describe('other requests', () => {
  test('the serial number is truncated to the buffer, or padded with zeros', () => {
    const { disk } = watchedDisk({ limits: { serial: 'serial-0123456789-cut' } });
    const whole = disk.do({ type: blk.VIRTIO_BLK_T_GET_ID, in: 20 });
    assert.deepEqual([whole.status, whole.written], [OK, 21]);
    assert.equal(Buffer.from(whole.data).toString(), 'serial-0123456789-cu');
    assert.equal(Buffer.from(disk.do({ type: blk.VIRTIO_BLK_T_GET_ID, in: 6 }).data).toString(), 'serial');
    const longer = watchedDisk().disk.do({ type: blk.VIRTIO_BLK_T_GET_ID, in: 32 });
    assert.deepEqual([...longer.data.subarray(0, 8)], [...Buffer.from('a disk\0\0')]);
    assert.deepEqual([...longer.data.subarray(20)], new Array<number>(12).fill(0xee));
    assert.equal(longer.written, 20);
  });

  test('an unknown type is unsupported', () => {
    const { disk, seen } = watchedDisk();
    assert.equal(disk.do({ type: 77 }).status, UNSUPP);
    assert.deepEqual(seen, []);
  });

  test('a header may span several buffers', () => {
    const { disk, seen } = watchedDisk();
    const header = new Uint8Array(16);
    header[0] = blk.VIRTIO_BLK_T_IN;
    header[8] = 2;
    const at = disk.place(header);
    const status = disk.place(Uint8Array.of(0xff));
    disk.offer([
      { iova: at, length: 3 },
      { iova: at + 3, length: 13 },
      { iova: disk.place(new Uint8Array(512)), length: 512, writable: true },
      { iova: status, length: 1, writable: true },
    ]);
    disk.results();
    assert.deepEqual(seen, [{ type: READ, position: 1024, length: 512, unmap: false }]);
    assert.equal(disk.byteAt(status), OK);
  });

  test('a header that is too short is an error', () => {
    const { disk, seen } = watchedDisk();
    const status = disk.place(Uint8Array.of(0xff));
    disk.offer([
      { iova: disk.place(new Uint8Array(15)), length: 15 },
      { iova: status, length: 1, writable: true },
    ]);
    const [result] = disk.results();
    assert.equal(result?.result.written, 1);
    assert.equal(disk.byteAt(status), IOERR);
    assert.deepEqual(seen, []);
  });

  test('a request without a status byte completes with nothing written, and counts as an error', () => {
    const { disk, seen } = watchedDisk();
    disk.offer([{ iova: disk.place(new Uint8Array(16)), length: 16 }]);
    const [result] = disk.results();
    assert.equal(result?.result.written, 0);
    assert.equal(disk.counters['errors'], 1);
    assert.deepEqual(seen, []);
  });

  test('a buffer outside the memory: the status reports it, and the data is not touched', () => {
    const { disk, seen } = watchedDisk();
    const status = disk.place(Uint8Array.of(0xff));
    disk.offer([
      { iova: disk.place(new Uint8Array(16)), length: 16 },
      { iova: 0xdead_0000, length: 512, writable: true },
      { iova: status, length: 1, writable: true },
    ]);
    disk.results();
    assert.equal(disk.byteAt(status), IOERR);
    assert.deepEqual(seen, []);
  });
});

describe('the disk', () => {
  test('an empty queue is idle', () => {
    const { disk } = watchedDisk();
    assert.equal(disk.serve(), WAIT);
    disk.request({ type: blk.VIRTIO_BLK_T_FLUSH });
    assert.equal(disk.serve(), WAIT);
    assert.equal(disk.interrupts, 1);
  });

  test('that grows has more sectors, and its backend gets the new size of the file', () => {
    const { disk, resized } = watchedDisk();
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_IN, sector: 64, in: 512 }).status, IOERR);
    disk.plane.change({ size: SIZE * 2, left: SIZE * 2 + 100 });
    assert.deepEqual(resized, [SIZE * 2 + 100]);
    assert.equal(disk.do({ type: blk.VIRTIO_BLK_T_IN, sector: 64, in: 512 }).status, OK);
  });

  test('closes its backend', () => {
    const { disk, closed } = watchedDisk();
    disk.plane.close();
    assert.equal(closed(), 1);
  });
});

describe('requests that are done in another order than they came', () => {
  /** A disk whose operations are done when the test says so. */
  function slowDisk(ordered: boolean) {
    const submitted: Operation[] = [];
    const finished: Operation[] = [];
    const backend: BlockBackend = {
      transfers: {
        get hasDone() {
          return finished.length > 0;
        },
        pinned: true,
        waiter: { watch: () => undefined, wait: () => true },
        cancel: () => undefined,
      },
      submit: (operation) => void submitted.push(operation),
      reap: (done) => {
        for (const operation of finished.splice(0)) done(operation);
      },
      close: () => undefined,
    };
    const disk = new Disk(backend, { size: SIZE, ordered });
    const heads = [0, 1, 2].map((at) => disk.request({ type: blk.VIRTIO_BLK_T_OUT, sector: at, out: sector }));
    assert.equal(disk.serve(), WAIT);
    /** These operations are done. @returns which requests are completed therefore */
    const finish = (...operations: number[]): number[] => {
      for (const index of operations) {
        const operation = submitted[index];
        if (!operation) continue;
        operation.error = 0;
        finished.push(operation);
      }
      disk.plane.transfers?.reap();
      return disk.results().map(({ head, result }) => (result.status === OK ? heads.indexOf(head) : -1));
    };
    return { disk, finish };
  }

  test('are completed as they are done', () => {
    const { disk, finish } = slowDisk(false);
    assert.deepEqual([disk.plane.transfers?.count, disk.plane.transfers?.pinned], [3, true]);
    assert.deepEqual(finish(2), [2]);
    assert.deepEqual(finish(1, 0), [1, 0]);
    assert.equal(disk.plane.transfers?.count, 0);
    assert.equal(disk.interrupts, 2);
  });

  test('wait for those before them where no log outlives the server', () => {
    const { disk, finish } = slowDisk(true);
    assert.deepEqual(finish(2), []);
    assert.equal(disk.plane.transfers?.count, 2);
    assert.deepEqual(finish(0), [0]);
    assert.deepEqual(finish(1), [1, 2]);
    assert.equal(disk.interrupts, 2);
  });
});
