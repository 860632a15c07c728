import { replaceMapping, unmap } from '../sys/memory.js';

/** The kernel keeps at most 2048 regions of a driver's memory by default (max_iotlb_entries). */
const CAPACITY = 4096;

const LOCK = 0;
const WORDS = 2;
/** Nobody holds the lock for longer than a system call or two. */
const LOCK_TIMEOUT_MS = 1000;

/**
 * The mappings of guest memory that a data thread has made, where the main thread sees them too.
 *
 * Nothing but this lets the main thread take guest memory away from a thread that does not answer, being stuck in a
 * system call: it puts other memory in the place of each mapping.
 */
export class MappingTable {
  readonly shared: SharedArrayBuffer;
  readonly #lock: Int32Array;
  /** Address and length of each mapping; a length of 0 is a free place. */
  readonly #entries: Float64Array;

  constructor(shared = new SharedArrayBuffer(WORDS * 4 + CAPACITY * 16)) {
    this.shared = shared;
    this.#lock = new Int32Array(shared, 0, WORDS);
    this.#entries = new Float64Array(shared, WORDS * 4);
  }

  /**
   * Makes a mapping and notes it.
   * @returns its address, or undefined where there are too many
   */
  add(length: number, map: () => number): number | undefined {
    return this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        if (this.#entries[slot * 2 + 1] !== 0) continue;
        const address = map();
        this.#entries[slot * 2] = address;
        this.#entries[slot * 2 + 1] = length;
        return address;
      }
      return undefined;
    });
  }

  /** Undoes a mapping. */
  remove(address: number): void {
    this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#entries[slot * 2 + 1] ?? 0;
        if (length === 0 || this.#entries[slot * 2] !== address) continue;
        this.#entries[slot * 2 + 1] = 0;
        unmap('unmap guest memory', address, length);
        return;
      }
    });
  }

  /** Puts zeroed memory where guest memory is mapped. The mappings stay noted, to be undone by who made them. */
  revokeAll(): void {
    this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#entries[slot * 2 + 1] ?? 0;
        if (length !== 0) replaceMapping('take guest memory away', this.#entries[slot * 2] ?? 0, length);
      }
    });
  }

  #locked<Result>(work: () => Result): Result {
    while (Atomics.compareExchange(this.#lock, LOCK, 0, 1) !== 0) {
      if (Atomics.wait(this.#lock, LOCK, 1, LOCK_TIMEOUT_MS) === 'timed-out') {
        throw new Error('The table of mappings is locked by a thread that does not go on');
      }
    }
    try {
      return work();
    } finally {
      Atomics.store(this.#lock, LOCK, 0);
      Atomics.notify(this.#lock, LOCK, 1);
    }
  }
}
