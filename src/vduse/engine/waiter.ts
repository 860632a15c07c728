import { EPOLLET, EPOLLIN, EventPoll } from '../../sys/events.js';

/** What a data thread sleeps in when it has nothing to do. */
export interface Waiter {
  /**
   * Wakes the thread when there is something new to read from a non-blocking descriptor, which need not be read.
   * @param readable called then, perhaps more than once
   * @throws SystemError
   */
  watch(fd: number, readable: () => void): void;

  /**
   * Sleeps until a descriptor is readable, transfers are done, or a signal arrives.
   * @param timeoutMs -1 for no limit
   * @returns whether something has happened
   * @throws SystemError
   */
  wait(timeoutMs: number): boolean;
}

/** Sleeps in epoll_wait(2). */
export class EpollWaiter implements Waiter {
  readonly #poll = new EventPoll();
  /** By descriptor. */
  readonly #ready = new Map<number, () => void>();
  readonly #prepare: (() => boolean) | undefined;

  /**
   * @param prepare for a backend with transfers: called before each sleep. It begins those that were submitted, lets
   * those that are done make a watched descriptor readable, and returns whether some are done already
   * @throws SystemError
   */
  constructor(prepare?: () => boolean) {
    this.#prepare = prepare;
  }

  watch(fd: number, ready: () => void): void {
    // Each event is reported once, so that the descriptor need not be read.
    this.#poll.add(fd, EPOLLIN | EPOLLET, fd);
    this.#ready.set(fd, ready);
  }

  /** Wakes for other events of a watched descriptor than EPOLLIN. @throws SystemError */
  watchFor(fd: number, events: number): void {
    this.#poll.change(fd, events | EPOLLET, fd);
  }

  /** Before a watched descriptor is closed. @throws SystemError */
  unwatch(fd: number): void {
    this.#poll.remove(fd);
    this.#ready.delete(fd);
  }

  wait(timeoutMs: number): boolean {
    if (this.#prepare?.() === true) return true;
    this.#poll.wait(timeoutMs);
    for (let index = 0; index < this.#poll.count; index++) this.#ready.get(this.#poll.tag(index))?.();
    return this.#poll.count > 0;
  }

  close(): void {
    this.#poll.close();
  }
}
