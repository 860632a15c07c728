import {
  AioQueue,
  IOCB_CMD_FDSYNC,
  IOCB_CMD_PREAD,
  IOCB_CMD_PREADV,
  IOCB_CMD_PWRITE,
  IOCB_CMD_PWRITEV,
} from '../../../sys/aio.js';
import { Errno } from '../../../sys/errno.js';
import { EpollWaiter } from '../../engine/waiter.js';
import type { Carrier } from './carrier.js';
import { ThreadPool } from './thread-pool.js';

/** Operations in flight; the limit of the machine is fs.aio-max-nr, 65536 by default. */
const MAX_IN_FLIGHT = 1024;

/**
 * Operations through the kernel's asynchronous I/O, on a file with O_DIRECT: without, io_submit(2) waits for each
 * transfer. A pool of threads does what it has no operation for. None can be cancelled once it has begun.
 */
export class AioCarrier implements Carrier {
  readonly waiter: EpollWaiter;
  readonly #fd: number;
  readonly #queue: AioQueue;
  readonly #pool: ThreadPool;
  #hasFlush = true;
  /** The tag of the flush in flight. */
  #flushTag: number | undefined;
  #done: (tag: number, result: number) => void = () => undefined;

  /**
   * @param depth operations in flight
   * @returns undefined if this kernel does not support it, does not permit it, or has reached its limit
   */
  static open(fd: number, depth: number): AioCarrier | undefined {
    const queue = AioQueue.open(Math.min(depth, MAX_IN_FLIGHT));
    return queue && new AioCarrier(fd, queue);
  }

  private constructor(fd: number, queue: AioQueue) {
    this.#fd = fd;
    this.#queue = queue;
    this.#pool = new ThreadPool(fd);
    this.waiter = new EpollWaiter(() => this.#prepareToSleep());
    for (const { eventfd } of [queue, this.#pool]) this.waiter.watch(eventfd, () => undefined);
  }

  #prepareToSleep(): boolean {
    this.#queue.submit();
    return this.#pool.prepareToSleep() || this.#queue.hasCompletions;
  }

  get hasCompletions(): boolean {
    return this.#queue.hasCompletions || this.#pool.hasCompletions;
  }

  transfer(writing: boolean, position: number, address: number, length: number, tag: number): void {
    this.#queue.push(writing ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD, this.#fd, address, length, position, tag);
  }

  transferVector(writing: boolean, position: number, vector: number, entries: number, tag: number): void {
    this.#queue.push(writing ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV, this.#fd, vector, entries, position, tag);
  }

  flush(tag: number): void {
    if (!this.#hasFlush) {
      this.#pool.flush(tag);
      return;
    }
    this.#flushTag = tag;
    this.#queue.push(IOCB_CMD_FDSYNC, this.#fd, 0, 0, 0, tag);
  }

  allocate(mode: number, position: number, length: number, tag: number): void {
    this.#pool.allocate(mode, position, length, tag);
  }

  discard(position: number, length: number, tag: number): void {
    this.#pool.discard(position, length, tag);
  }

  submit(): void {
    this.#queue.submit();
    this.#pool.submit();
  }

  reap(done: (tag: number, result: number) => void): void {
    this.#done = done;
    this.#queue.reap(this.#completed);
    this.#pool.reap(done);
  }

  readonly #completed = (tag: number, result: number): void => {
    if (tag !== this.#flushTag) {
      this.#done(tag, result);
      return;
    }
    this.#flushTag = undefined;
    // Before Linux 4.18 there is no such operation.
    if (result === -Errno.EINVAL) {
      this.#hasFlush = false;
      this.#pool.flush(tag);
    } else {
      this.#done(tag, result);
    }
  };

  cancel(): void {
    this.#pool.cancel();
  }

  close(): void {
    this.#pool.close();
    this.waiter.close();
    this.#queue.close();
  }
}
