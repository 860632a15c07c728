import { mapAnonymous, replaceMapping, unmap, viewMemory, writeAddress } from '../sys/memory.js';
import { GUARDED_BYTES } from '../sys/memory-guard.js';

/** Words of an entry: address and length of a mapping, each a u64; a length of 0 is a free place. */
const ENTRY_WORDS = 4;
const LENGTH = 2;
/** Twice as many as the kernel keeps regions of a driver's memory by default (max_iotlb_entries). */
const CAPACITY = GUARDED_BYTES / 4 / ENTRY_WORDS;

const LOCK = 0;
/** Nobody holds the lock for longer than a system call or two. */
const LOCK_TIMEOUT_MS = 1000;

/** What two threads see of the same table. */
export interface SharedMappings {
  readonly lock: SharedArrayBuffer;
  /** The address of the entries: where the guard of the data thread looks, see LostMemory. */
  readonly entries: number;
}

/**
 * The mappings of guest memory that a data thread has made, where the main thread sees them too.
 *
 * Nothing but this lets the main thread take guest memory away from a thread that does not answer, being stuck in a
 * system call: it puts other memory in the place of each mapping.
 */
export class MappingTable {
  readonly shared: SharedMappings;
  readonly #lock: Int32Array;
  readonly #words: Uint32Array;

  /** Made by the main thread. @throws SystemError */
  static allocate(): MappingTable {
    const entries = mapAnonymous('allocate the table of mappings', GUARDED_BYTES);
    return new MappingTable({ lock: new SharedArrayBuffer(4), entries });
  }

  constructor(shared: SharedMappings) {
    this.shared = shared;
    this.#lock = new Int32Array(shared.lock);
    this.#words = new Uint32Array(viewMemory(shared.entries, GUARDED_BYTES));
  }

  /**
   * Makes a mapping and notes it.
   * @returns its address, or undefined where there are too many
   */
  add(length: number, map: () => number): number | undefined {
    return this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        if (this.#length(slot) !== 0) continue;
        const address = map();
        writeAddress(this.#words, slot * ENTRY_WORDS, address);
        writeAddress(this.#words, slot * ENTRY_WORDS + LENGTH, length);
        return address;
      }
      return undefined;
    });
  }

  /** Undoes a mapping. */
  remove(address: number): void {
    this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#length(slot);
        if (length === 0 || this.#address(slot) !== address) continue;
        writeAddress(this.#words, slot * ENTRY_WORDS + LENGTH, 0);
        unmap('unmap guest memory', address, length);
        return;
      }
    });
  }

  /** Puts zeroed memory where guest memory is mapped. The mappings stay noted, to be undone by who made them. */
  revokeAll(): void {
    this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#length(slot);
        if (length !== 0) replaceMapping('take guest memory away', this.#address(slot), length);
      }
    });
  }

  /** Gives the table's own memory back. Nobody may use it any more. */
  free(): void {
    unmap('free the table of mappings', this.shared.entries, GUARDED_BYTES);
  }

  #address(slot: number): number {
    return this.#u64(slot * ENTRY_WORDS);
  }

  #length(slot: number): number {
    return this.#u64(slot * ENTRY_WORDS + LENGTH);
  }

  #u64(word: number): number {
    return (this.#words[word + 1] ?? 0) * 0x1_0000_0000 + (this.#words[word] ?? 0);
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
