import type { Worker } from 'node:worker_threads';
import { Errno } from '../../../sys/errno.js';
import { openEventfd } from '../../../sys/events.js';
import { close } from '../../../sys/libc.js';
import { startThread } from '../../engine/start-thread.js';
import { EpollWaiter } from '../../engine/waiter.js';
import { VduseError } from '../../error.js';
import type { Carrier } from './carrier.js';
import { PoolKind, PoolQueue, SLOTS, type PoolOperation } from './pool-queue.js';
import type { PoolThreadOptions } from './pool-thread.js';

/** Each thread takes about 9 MiB of memory. */
const MAX_THREADS = 4;

/** Time limit for the first thread to start; it takes 50 ms. */
const START_TIMEOUT_MS = 20_000;

/** Time limit for threads that have nothing to do. */
const END_TIMEOUT_MS = 10_000;

/**
 * Operations by threads that wait in system calls, at most {@link MAX_THREADS} at a time. They are started when there
 * is an operation for them.
 */
export class ThreadPool implements Carrier {
  /** Signalled when an operation is done after {@link prepareToSleep}. */
  readonly eventfd = openEventfd();
  readonly #fd: number;
  readonly #queue = PoolQueue.allocate();
  readonly #threads: Worker[] = [];
  readonly #freeSlots = Array.from({ length: SLOTS }, (_, slot) => slot);
  /** Operations that have no slot yet. */
  readonly #waiting: PoolOperation[] = [];
  /** The tags of operations that were cancelled, to be reported. */
  readonly #cancelled: number[] = [];
  /** Operations offered to the threads since they were last woken. */
  #unannounced = 0;
  #maxThreads = MAX_THREADS;
  readonly #startTimeoutMs: number;
  /** How many results were taken; see {@link PoolQueue.peekDone}. */
  #taken = 0;
  #waiter: EpollWaiter | undefined;

  /** @param startTimeoutMs for the first thread to start */
  constructor(fd: number, startTimeoutMs = START_TIMEOUT_MS) {
    this.#fd = fd;
    this.#startTimeoutMs = startTimeoutMs;
  }

  get waiter(): EpollWaiter {
    if (this.#waiter === undefined) {
      this.#waiter = new EpollWaiter(() => this.prepareToSleep());
      this.#waiter.watch(this.eventfd, () => undefined);
    }
    return this.#waiter;
  }

  /**
   * Begins what was added, and lets the threads signal {@link eventfd}.
   * @returns whether operations are done already
   */
  prepareToSleep(): boolean {
    this.submit();
    if (this.#inFlight > 0) this.#queue.signals = true;
    return this.hasCompletions;
  }

  get hasCompletions(): boolean {
    return this.#cancelled.length > 0 || (this.#inFlight > 0 && this.#queue.peekDone(this.#taken) !== undefined);
  }

  get #inFlight(): number {
    return SLOTS - this.#freeSlots.length;
  }

  transfer(writing: boolean, position: number, address: number, length: number, tag: number): void {
    this.#push({ kind: writing ? PoolKind.WRITE : PoolKind.READ, position, address, length, mode: 0, tag });
  }

  transferVector(writing: boolean, position: number, address: number, length: number, tag: number): void {
    const kind = writing ? PoolKind.WRITE_VECTOR : PoolKind.READ_VECTOR;
    this.#push({ kind, position, address, length, mode: 0, tag });
  }

  flush(tag: number): void {
    this.#push({ kind: PoolKind.FLUSH, position: 0, address: 0, length: 0, mode: 0, tag });
  }

  allocate(mode: number, position: number, length: number, tag: number): void {
    this.#push({ kind: PoolKind.ALLOCATE, position, address: 0, length, mode, tag });
  }

  discard(position: number, length: number, tag: number): void {
    this.#push({ kind: PoolKind.DISCARD, position, address: 0, length, mode: 0, tag });
  }

  #push(operation: PoolOperation): void {
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      this.#waiting.push(operation);
      return;
    }
    this.#queue.offer(slot, operation);
    this.#unannounced++;
  }

  submit(): void {
    if (this.#unannounced === 0) return;
    this.#queue.wake(this.#unannounced);
    this.#unannounced = 0;
    while (this.#threads.length < Math.min(this.#inFlight, this.#maxThreads)) this.#startThread();
    // A thread may end before it works, which only the event loop would report: the operations would wait forever.
    if (this.#inFlight === 0 || this.#queue.waitForThread(this.#startTimeoutMs)) return;
    throw new VduseError(
      `No thread for operations on the file has started within ${this.#startTimeoutMs / 1000} s: ` +
        'the server has no memory, threads or descriptors left, or its program files were removed',
    );
  }

  #startThread(): void {
    const options: PoolThreadOptions = { queue: this.#queue.shared, fd: this.#fd, eventfd: this.eventfd };
    try {
      const thread = startThread('pool-thread', {
        workerData: options,
      });
      thread.unref();
      // The others do its work, and submit() fails if there is none.
      thread.on('error', () => void this.#threads.splice(this.#threads.indexOf(thread), 1));
      this.#threads.push(thread);
    } catch (error) {
      // The process may have no more threads (RLIMIT_NPROC, pids.max): those that there are do it.
      if (this.#threads.length === 0) throw error;
      this.#maxThreads = this.#threads.length;
    }
  }

  reap(done: (tag: number, result: number) => void): void {
    this.#queue.signals = false;
    for (const tag of this.#cancelled.splice(0)) done(tag, -Errno.ECANCELED);
    while (this.#inFlight > 0) {
      const slot = this.#queue.peekDone(this.#taken);
      if (slot === undefined) return;
      const result = this.#queue.takeDone(this.#taken, slot);
      this.#taken = (this.#taken + 1) | 0;
      this.#free(slot, result, done);
    }
  }

  #free(slot: number, result: number, done: (tag: number, result: number) => void): void {
    const tag = this.#queue.tag(slot);
    this.#freeSlots.push(slot);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#push(next);
    done(tag, result);
  }

  /** Cancels those that no thread has begun. */
  cancel(): void {
    for (let slot = this.#queue.claim(); slot !== undefined; slot = this.#queue.claim()) {
      this.#cancelled.push(this.#queue.tag(slot));
      this.#freeSlots.push(slot);
    }
    for (const { tag } of this.#waiting.splice(0)) this.#cancelled.push(tag);
    this.#unannounced = 0;
  }

  close(): void {
    // Nothing is in flight: a thread that only begins to work now finds nothing to do.
    this.#queue.end(END_TIMEOUT_MS);
    this.#waiter?.close();
    close(this.eventfd);
  }
}
