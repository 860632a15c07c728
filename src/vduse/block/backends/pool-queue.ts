/**
 * The queue of a pool of threads, in memory that they share with the thread that uses the pool: neither has a running
 * event loop. An operation has a slot from when it is offered until its result is taken. Two rings have numbers of
 * slots: of operations that no thread has claimed, and of operations that are done. As there are as many slots as each
 * ring has entries, neither overflows.
 */
import { monotonicMs } from '../../../sys/clock.js';
import { signalEventfd } from '../../../sys/events.js';

/** Operations that are offered and whose results are not taken, at most; a power of two. */
export const SLOTS = 256;
const MASK = SLOTS - 1;

/** Words of 32 bits. Those that different threads change are on different cache lines. */
const word = {
  /** How many operations were claimed, and offered. */
  claimed: 0,
  offered: 16,
  /** How many are done. */
  done: 32,
  /** Changes when there is something to do for threads that sleep. */
  wake: 48,
  /** Whether the eventfd is to be signalled. */
  signals: 64,
  ending: 80,
  /** The number of threads that work. */
  threads: 81,
  claims: 96,
  results: 96 + SLOTS,
  slots: 96 + 2 * SLOTS,
} as const;

/** A slot: integers, and numbers that may be larger. */
const SLOT_WORDS = 4;
const slotWord = { kind: 0, tag: 1, mode: 2 } as const;
const SLOT_NUMBERS = 4;
const slotNumber = { position: 0, address: 1, length: 2, result: 3 } as const;

const WORDS = word.slots + SLOTS * SLOT_WORDS;

/** What a thread of the pool does. */
export const PoolKind = {
  READ: 0,
  WRITE: 1,
  READ_VECTOR: 2,
  WRITE_VECTOR: 3,
  FLUSH: 4,
  ALLOCATE: 5,
  DISCARD: 6,
} as const;

export type PoolKind = (typeof PoolKind)[keyof typeof PoolKind];

/** An operation on the file of the pool. */
export interface PoolOperation {
  readonly kind: PoolKind;
  readonly tag: number;
  readonly position: number;
  /** READ, WRITE: of memory; READ_VECTOR, WRITE_VECTOR: of struct iovec. */
  readonly address: number;
  /** Bytes, or entries of a vector. */
  readonly length: number;
  /** ALLOCATE: FALLOC_FL_. */
  readonly mode: number;
}

export class PoolQueue {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  static allocate(): PoolQueue {
    return new PoolQueue(new SharedArrayBuffer(WORDS * 4 + SLOTS * SLOT_NUMBERS * 8));
  }

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#words = new Int32Array(shared, 0, WORDS);
    this.#numbers = new Float64Array(shared, WORDS * 4);
  }

  /** Offers an operation to the threads, which {@link wake} wakes. @param slot free */
  offer(slot: number, { kind, tag, position, address, length, mode }: PoolOperation): void {
    const words = word.slots + slot * SLOT_WORDS;
    this.#words[words + slotWord.kind] = kind;
    this.#words[words + slotWord.tag] = tag;
    this.#words[words + slotWord.mode] = mode;
    const numbers = slot * SLOT_NUMBERS;
    this.#numbers[numbers + slotNumber.position] = position;
    this.#numbers[numbers + slotNumber.address] = address;
    this.#numbers[numbers + slotNumber.length] = length;
    const offered = Atomics.load(this.#words, word.offered);
    Atomics.store(this.#words, word.claims + (offered & MASK), slot);
    Atomics.store(this.#words, word.offered, (offered + 1) | 0);
  }

  /** Wakes so many threads that sleep, as far as there are. */
  wake(count: number): void {
    Atomics.add(this.#words, word.wake, 1);
    Atomics.notify(this.#words, word.wake, count);
  }

  /** Takes the oldest operation that no thread has. @returns its slot, or undefined if there is none */
  claim(): number | undefined {
    for (;;) {
      const claimed = Atomics.load(this.#words, word.claimed);
      if (claimed === Atomics.load(this.#words, word.offered)) return undefined;
      // The entry has not changed if nobody else has claimed it: its slot would still be in use.
      const slot = Atomics.load(this.#words, word.claims + (claimed & MASK));
      const next = (claimed + 1) | 0;
      if (Atomics.compareExchange(this.#words, word.claimed, claimed, next) === claimed) return slot;
    }
  }

  /** The operation of a slot that was claimed or whose result was taken. */
  operation(slot: number): PoolOperation {
    const words = word.slots + slot * SLOT_WORDS;
    const numbers = slot * SLOT_NUMBERS;
    return {
      // Written by offer().
      kind: (this.#words[words + slotWord.kind] ?? 0) as PoolKind,
      tag: this.tag(slot),
      mode: this.#words[words + slotWord.mode] ?? 0,
      position: this.#numbers[numbers + slotNumber.position] ?? 0,
      address: this.#numbers[numbers + slotNumber.address] ?? 0,
      length: this.#numbers[numbers + slotNumber.length] ?? 0,
    };
  }

  tag(slot: number): number {
    return this.#words[word.slots + slot * SLOT_WORDS + slotWord.tag] ?? 0;
  }

  /** The operation of a slot that was claimed is done. @param eventfd signalled if that is wanted */
  complete(slot: number, result: number, eventfd: number): void {
    this.#numbers[slot * SLOT_NUMBERS + slotNumber.result] = result;
    const done = Atomics.add(this.#words, word.done, 1);
    Atomics.store(this.#words, word.results + (done & MASK), slot + 1);
    if (Atomics.load(this.#words, word.signals) === 0) return;
    // Once is enough.
    if (Atomics.exchange(this.#words, word.signals, 0) === 1) signalEventfd(eventfd);
  }

  /** The slot of the operation that was done after `taken` others, or undefined if it is not done yet. */
  peekDone(taken: number): number | undefined {
    const entry = Atomics.load(this.#words, word.results + (taken & MASK));
    return entry === 0 ? undefined : entry - 1;
  }

  /** Takes it. @returns its result; the slot is free once its operation has been read */
  takeDone(taken: number, slot: number): number {
    Atomics.store(this.#words, word.results + (taken & MASK), 0);
    return this.#numbers[slot * SLOT_NUMBERS + slotNumber.result] ?? 0;
  }

  set signals(wanted: boolean) {
    Atomics.store(this.#words, word.signals, wanted ? 1 : 0);
  }

  /** The value for {@link sleep}, to be read before looking for something to do. */
  get wakes(): number {
    return Atomics.load(this.#words, word.wake);
  }

  /** Sleeps, unless {@link wake} was called since {@link wakes} had this value. */
  sleep(wakes: number): void {
    Atomics.wait(this.#words, word.wake, wakes);
  }

  /** Whether threads that have nothing to do are to end. */
  get isEnding(): boolean {
    return Atomics.load(this.#words, word.ending) === 1;
  }

  /** A thread has begun to work. */
  enter(): void {
    Atomics.add(this.#words, word.threads, 1);
    Atomics.notify(this.#words, word.threads);
  }

  /** Waits until a thread works. @returns false if none does in so many milliseconds */
  waitForThread(timeoutMs: number): boolean {
    const deadline = monotonicMs() + timeoutMs;
    while (Atomics.load(this.#words, word.threads) === 0) {
      const left = deadline - monotonicMs();
      if (left <= 0) return false;
      Atomics.wait(this.#words, word.threads, 0, left);
    }
    return true;
  }

  /** A thread does nothing any more. */
  leave(): void {
    Atomics.sub(this.#words, word.threads, 1);
    Atomics.notify(this.#words, word.threads);
  }

  /** Lets the threads end, and waits until they have. @returns false if one has not in so many milliseconds */
  end(timeoutMs: number): boolean {
    Atomics.store(this.#words, word.ending, 1);
    this.wake(Infinity);
    const deadline = monotonicMs() + timeoutMs;
    for (;;) {
      const threads = Atomics.load(this.#words, word.threads);
      if (threads === 0) return true;
      const left = deadline - monotonicMs();
      if (left <= 0) return false;
      Atomics.wait(this.#words, word.threads, threads, left);
    }
  }
}
