import type { IoUring } from '../../../sys/io-uring.js';
import { EpollWaiter, type Waiter } from '../../engine/waiter.js';

/**
 * Sleeps in io_uring_enter(2) while operations are in flight: one system call begins them, waits for them and for
 * descriptors. While none is, in epoll_wait(2): the kernel counts the time of the other as that of waiting for a disk.
 */
export class RingWaiter implements Waiter {
  readonly #ring: IoUring;
  readonly #idle = new EpollWaiter();
  readonly #isDone: () => boolean;

  /** @param isDone called before each sleep with operations in flight: whether some are done already */
  constructor(ring: IoUring, isDone: () => boolean) {
    this.#ring = ring;
    this.#isDone = isDone;
  }

  watch(fd: number, readable: () => void): void {
    this.#idle.watch(fd, readable);
    this.#ring.watch(fd, readable);
  }

  wait(timeoutMs: number): boolean {
    if (this.#isDone()) return true;
    return this.#ring.inFlight > 0 ? this.#ring.wait(timeoutMs) : this.#idle.wait(timeoutMs);
  }

  close(): void {
    this.#idle.close();
  }
}
