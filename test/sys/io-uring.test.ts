import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Errno } from '../../src/sys/errno.js';
import { openEventfd, signalEventfd } from '../../src/sys/events.js';
import { IORING_OP_FSYNC, IORING_OP_READ, IORING_OP_WRITE, IoUring } from '../../src/sys/io-uring.js';
import { close } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';

const probed = IoUring.open(1, 1);
probed?.close();

describe('io_uring', { skip: probed === undefined && 'this machine does not permit io_uring' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-io-uring-'));
  const path = join(folder, 'file');
  writeFileSync(path, new Uint8Array(65536).fill(7));
  const fd = openSync(path, constants.O_RDWR);
  const memory = new NativeBuffer(65536);
  after(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
    memory.free();
  });

  function open(entries: number, completions: number): IoUring {
    const ring = IoUring.open(entries, completions);
    assert.ok(ring);
    return ring;
  }

  /** Submits, and takes completions until there are so many. */
  function complete(ring: IoUring, count: number): [tag: number, result: number][] {
    const done: [number, number][] = [];
    while (done.length < count) {
      ring.submit();
      ring.reap((tag, result) => void done.push([tag, result]));
    }
    return done;
  }

  const read = { opcode: IORING_OP_READ, fd, offset: 0, address: memory.address, length: 512 };

  test('carries out operations and gives their results', () => {
    const ring = open(8, 8);
    memory.u8.fill(0);
    ring.push({ ...read, offset: 100 }, 1);
    assert.deepEqual([ring.inFlight, ring.hasCompletions], [1, false]);
    assert.deepEqual(complete(ring, 1), [[1, 512]]);
    assert.deepEqual([ring.inFlight, ring.hasCompletions], [0, false]);
    assert.ok(memory.u8.subarray(0, 512).every((byte) => byte === 7));
    ring.push({ ...read, opcode: IORING_OP_WRITE, offset: 65536 - 256 }, 2);
    ring.push({ ...read, fd: -1 }, 3);
    ring.push({ ...read, address: 4096 }, 4);
    ring.push({ opcode: IORING_OP_FSYNC, fd, offset: 0, address: 0, length: 0 }, 5);
    assert.deepEqual(
      new Map(complete(ring, 4)),
      new Map([
        [2, 512],
        [3, -Errno.EBADF],
        [4, -Errno.EFAULT],
        [5, 0],
      ]),
    );
    ring.close();
  });

  test('more operations than one call can begin, and more than it has space to report, are all done', () => {
    const ring = open(4, 4);
    const tags = Array.from({ length: 100 }, (_, tag) => tag);
    for (const tag of tags) ring.push({ ...read, offset: tag * 512 }, tag);
    const done = complete(ring, tags.length);
    assert.deepEqual(
      done.map(([tag]) => tag).sort((one, other) => one - other),
      tags,
    );
    assert.ok(done.every(([, result]) => result === 512));
    ring.close();
  });

  test('operations may be added while others are taken', () => {
    const ring = open(4, 4);
    let left = 10;
    ring.push(read, 0);
    const done: number[] = [];
    while (done.length < 11) {
      ring.submit();
      ring.reap((tag) => {
        done.push(tag);
        if (left-- > 0) ring.push(read, tag + 1);
      });
    }
    assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    ring.close();
  });

  test('waits for operations, for descriptors that are watched, and for a time', () => {
    const ring = open(4, 4);
    const event = openEventfd();
    const events: string[] = [];
    ring.watch(event, () => void events.push('readable'));
    const wait = (timeoutMs: number): boolean => {
      const happened = ring.wait(timeoutMs);
      ring.reap(() => undefined);
      return happened;
    };
    /** A signal wakes it too. */
    const waitUntil = (isDone: () => boolean): void => {
      while (!isDone()) wait(60_000);
    };
    assert.equal(wait(1), false);
    ring.push(read, 1);
    assert.equal(ring.inFlight, 1);
    waitUntil(() => ring.inFlight === 0);
    for (let time = 1; time <= 3; time++) {
      // It is never read.
      signalEventfd(event);
      waitUntil(() => events.length === time);
      assert.equal(wait(0), false);
    }
    // This ends the watch too, which begins again.
    ring.cancelAll();
    wait(0);
    const before = events.length;
    signalEventfd(event);
    waitUntil(() => events.length > before);
    ring.close();
    close(event);
  });

  test('a descriptor that cannot be watched is an error', () => {
    const ring = open(4, 4);
    ring.watch(-1, () => undefined);
    ring.submit();
    assert.throws(
      () => {
        ring.reap(() => undefined);
      },
      { name: 'SystemError', message: 'watch a descriptor: Bad file descriptor (EBADF)' },
    );
    ring.close();
  });

  test('knows which operations the kernel has', () => {
    const ring = open(1, 1);
    assert.deepEqual(
      [IORING_OP_READ, 63, 64, 200].map((opcode) => ring.supports(opcode)),
      [true, false, false, false],
    );
    ring.close();
  });

  test('cancelling what cannot be cancelled changes nothing', () => {
    const ring = open(4, 4);
    ring.push(read, 9);
    ring.submit();
    ring.cancelAll();
    const [[tag, result] = []] = complete(ring, 1);
    assert.equal(tag, 9);
    assert.ok(result === 512 || result === -Errno.ECANCELED);
    ring.close();
  });
});
