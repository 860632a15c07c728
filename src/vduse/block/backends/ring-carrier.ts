import { Errno } from '../../../sys/errno.js';
import { io } from '../../../sys/ioctl.js';
import * as uring from '../../../sys/io-uring.js';
import type { Carrier } from './carrier.js';
import { RingWaiter } from './ring-waiter.js';
import { ThreadPool } from './thread-pool.js';

/** From linux/blkdev.h: discards a range of a block device, since Linux 6.12. */
const BLOCK_URING_CMD_DISCARD = io(0x12, 0);

/** Operations that one system call begins. */
const ENTRIES = 256;

/**
 * Operations that begin, or are given back, together: while the disk or the driver works on these, the thread goes on
 * with the next.
 */
const BATCH = 8;

/** A discard in flight. */
interface Range {
  readonly position: number;
  readonly length: number;
}

/** Operations through an io_uring. A pool of threads discards ranges where the kernel has no operation for that. */
export class RingCarrier implements Carrier {
  readonly waiter: RingWaiter;
  readonly #fd: number;
  readonly #ring: uring.IoUring;
  readonly #pool: ThreadPool;
  #hasDiscard: boolean;
  readonly #discards = new Map<number, Range>();
  #done: (tag: number, result: number) => void = () => undefined;

  /**
   * @param depth operations in flight
   * @returns undefined if this kernel has no io_uring for files, or does not permit it
   */
  static open(fd: number, depth: number): RingCarrier | undefined {
    const ring = uring.IoUring.open(ENTRIES, depth * 2);
    const needed = [
      uring.IORING_OP_READV,
      uring.IORING_OP_WRITEV,
      uring.IORING_OP_READ,
      uring.IORING_OP_WRITE,
      uring.IORING_OP_FSYNC,
      uring.IORING_OP_FALLOCATE,
    ];
    if (ring === undefined) return undefined;
    if (needed.every((opcode) => ring.supports(opcode))) return new RingCarrier(fd, ring);
    ring.close();
    return undefined;
  }

  private constructor(fd: number, ring: uring.IoUring) {
    this.#fd = fd;
    this.#ring = ring;
    this.#pool = new ThreadPool(fd);
    this.waiter = new RingWaiter(ring, () => this.#pool.prepareToSleep());
    this.waiter.watch(this.#pool.eventfd, () => undefined);
    this.#hasDiscard = ring.supports(uring.IORING_OP_URING_CMD);
  }

  get hasCompletions(): boolean {
    return this.#ring.hasCompletions || this.#pool.hasCompletions;
  }

  transfer(writing: boolean, offset: number, address: number, length: number, tag: number): void {
    const opcode = writing ? uring.IORING_OP_WRITE : uring.IORING_OP_READ;
    this.#ring.push({ opcode, fd: this.#fd, offset, address, length }, tag);
    if (this.#ring.unsubmitted >= BATCH) this.#ring.submit();
  }

  transferVector(writing: boolean, offset: number, address: number, length: number, tag: number): void {
    const opcode = writing ? uring.IORING_OP_WRITEV : uring.IORING_OP_READV;
    this.#ring.push({ opcode, fd: this.#fd, offset, address, length }, tag);
    if (this.#ring.unsubmitted >= BATCH) this.#ring.submit();
  }

  flush(tag: number): void {
    const flags = uring.IORING_FSYNC_DATASYNC;
    this.#ring.push({ opcode: uring.IORING_OP_FSYNC, fd: this.#fd, offset: 0, address: 0, length: 0, flags }, tag);
  }

  allocate(mode: number, position: number, length: number, tag: number): void {
    const opcode = uring.IORING_OP_FALLOCATE;
    // This operation has its length in the place of an address, and its mode in that of a length.
    this.#ring.push({ opcode, fd: this.#fd, offset: position, address: length, length: mode }, tag);
  }

  discard(position: number, length: number, tag: number): void {
    if (!this.#hasDiscard) {
      this.#pool.discard(position, length, tag);
      return;
    }
    this.#discards.set(tag, { position, length });
    const opcode = uring.IORING_OP_URING_CMD;
    const offset = BLOCK_URING_CMD_DISCARD;
    this.#ring.push({ opcode, fd: this.#fd, offset, address: position, length: 0, address3: length }, tag);
  }

  submit(): void {
    this.#ring.submit();
    this.#pool.submit();
  }

  reap(done: (tag: number, result: number) => void): void {
    this.#done = done;
    this.#ring.reap(this.#completed, BATCH);
    this.#pool.reap(done);
  }

  readonly #completed = (tag: number, result: number): void => {
    if (this.#discards.size > 0 && this.#discardByPool(tag, result)) return;
    this.#done(tag, result);
  };

  /** A kernel without the command for discards says that it does not support it. @returns whether the pool does it */
  #discardByPool(tag: number, result: number): boolean {
    const range = this.#discards.get(tag);
    if (range === undefined) return false;
    this.#discards.delete(tag);
    if (result !== -Errno.EOPNOTSUPP && result !== -Errno.EINVAL) return false;
    this.#hasDiscard = false;
    this.#pool.discard(range.position, range.length, tag);
    return true;
  }

  cancel(): void {
    this.#ring.cancelAll();
    this.#pool.cancel();
  }

  close(): void {
    this.#pool.close();
    this.waiter.close();
    this.#ring.close();
  }
}
