/** Entry point of a thread of a pool: it carries out one operation of the queue after another. */
import { workerData } from 'node:worker_threads';
import { Errno } from '../../../sys/errno.js';
import * as file from '../../../sys/file.js';
import { io, ioctlNumber } from '../../../sys/ioctl.js';
import { lastErrno, retryInterrupted } from '../../../sys/libc.js';
import { NativeBuffer, writeAddress } from '../../../sys/memory.js';
import { PoolKind, PoolQueue, type PoolOperation } from './pool-queue.js';

/** Start-up data of a thread of a pool. */
export interface PoolThreadOptions {
  /** See {@link PoolQueue}. */
  readonly queue: SharedArrayBuffer;
  readonly fd: number;
  /** Signalled when an operation is done. */
  readonly eventfd: number;
}

/** From linux/fs.h: discards a range of a block device; two u64, in bytes. */
const BLKDISCARD = io(0x12, 119);

/** @returns the result of a system call, -1 if it failed */
function call(fd: number, { kind, position, address, length, mode }: PoolOperation, range: NativeBuffer): number {
  switch (kind) {
    case PoolKind.READ:
      return file.pread(fd, address, length, position);
    case PoolKind.WRITE:
      return file.pwrite(fd, address, length, position);
    case PoolKind.READ_VECTOR:
      return file.preadv(fd, address, length, position);
    case PoolKind.WRITE_VECTOR:
      return file.pwritev(fd, address, length, position);
    case PoolKind.FLUSH:
      return file.fdatasync(fd);
    case PoolKind.ALLOCATE:
      return file.fallocate(fd, mode, position, length);
    case PoolKind.DISCARD:
      writeAddress(range.u32, 0, position);
      writeAddress(range.u32, 2, length);
      return ioctlNumber(fd, BLKDISCARD, range.address);
  }
}

function carryOut(queue: PoolQueue, slot: number, fd: number, range: NativeBuffer, eventfd: number): void {
  // An operation that was claimed has a result, whatever ends the thread.
  let result = -Errno.EIO;
  try {
    const operation = queue.operation(slot);
    const returned = retryInterrupted(() => call(fd, operation, range));
    result = returned === -1 ? -lastErrno() : returned;
  } finally {
    queue.complete(slot, result, eventfd);
  }
}

function work({ queue: shared, fd, eventfd }: PoolThreadOptions): void {
  const queue = new PoolQueue(shared);
  const range = new NativeBuffer(16);
  queue.enter();
  try {
    for (;;) {
      const { wakes } = queue;
      const slot = queue.claim();
      if (slot !== undefined) carryOut(queue, slot, fd, range, eventfd);
      else if (queue.isEnding) break;
      else queue.sleep(wakes);
    }
  } finally {
    range.free();
    queue.leave();
  }
}

// The pool starts this thread with them.
work(workerData as PoolThreadOptions);
