import { mapAnonymous, mapZeros, mapEmptyFile, tryUnmap, unmap, viewMemory, writeAddress } from '../../sys/memory.js';
import { GUARDED_BYTES } from '../../sys/memory-guard.js';
import { MemoryRevokedError } from './queue.js';

/** Words of an entry: address and length of a view, each a u64; a length of 0 marks a free entry. */
const ENTRY_WORDS = 4;
const LENGTH = 2;
/** Twice as many as the kernel keeps regions of a driver's memory by default (max_iotlb_entries). */
const CAPACITY = GUARDED_BYTES / 4 / ENTRY_WORDS;

/** The entries are followed by the addresses of the transfers, each a u64. */
const TRANSFERS = GUARDED_BYTES / 4;
const TABLE_BYTES = GUARDED_BYTES + CAPACITY * 8;

/** Words of the control buffer. */
const LOCK = 0;
const REVOCATIONS = 1;
/** The lock is never held for longer than a system call or two. */
const LOCK_TIMEOUT_MS = 1000;

/** The table as shared by two threads. */
export interface SharedMappings {
  /** The lock of the table, and the number of revocations of guest memory. */
  readonly control: SharedArrayBuffer;
  /** The address of the entries, which the guard of the data thread reads; see LostMemory. */
  readonly entries: number;
}

/** The two addresses at which a piece of guest memory is mapped. */
export interface DualMapping {
  /** The address for JavaScript's own reads and writes. */
  readonly view: number;
  /** The address for data: system calls use it, and the functions of guarded-copy.ts. */
  readonly transfer: number;
}

/**
 * The mappings of guest memory that a data thread has made, shared with the main thread.
 *
 * With this table the main thread can revoke guest memory from a thread that does not respond because it is blocked in
 * a system call. This must not corrupt data. Data therefore has its own mapping, in which system calls fail with EFAULT
 * after revocation; the other mapping, for JavaScript, which has no way to handle faults, reads as zeros.
 */
export class MappingTable {
  readonly shared: SharedMappings;
  readonly #control: Int32Array;
  readonly #words: Uint32Array;

  /** Created by the main thread. @throws SystemError */
  static allocate(): MappingTable {
    const entries = mapAnonymous('allocate the mapping table', TABLE_BYTES);
    return new MappingTable({ control: new SharedArrayBuffer(8), entries });
  }

  constructor(shared: SharedMappings) {
    this.shared = shared;
    this.#control = new Int32Array(shared.control);
    this.#words = new Uint32Array(viewMemory(shared.entries, TABLE_BYTES));
  }

  /**
   * Creates both mappings and records them.
   * @param map creates one mapping
   * @returns undefined if there are too many
   * @throws errors of `map`
   */
  add(length: number, revocations: number, map: () => number): DualMapping | undefined {
    const view = map();
    let transfer: number | undefined;
    let recorded: boolean | undefined;
    try {
      transfer = map();
      const mapping = { view, transfer };
      recorded = this.#locked(() => {
        if (this.revocations !== revocations) throw new MemoryRevokedError();
        return this.#record(mapping, length);
      });
      return recorded ? mapping : undefined;
    } finally {
      if (recorded !== true) {
        tryUnmap(view, length);
        if (transfer !== undefined) tryUnmap(transfer, length);
      }
    }
  }

  /** Number of revocations of guest memory. */
  get revocations(): number {
    return Atomics.load(this.#control, REVOCATIONS);
  }

  #record({ view, transfer }: DualMapping, length: number): boolean {
    for (let slot = 0; slot < CAPACITY; slot++) {
      if (this.#length(slot) !== 0) continue;
      writeAddress(this.#words, slot * ENTRY_WORDS, view);
      writeAddress(this.#words, TRANSFERS + slot * 2, transfer);
      writeAddress(this.#words, slot * ENTRY_WORDS + LENGTH, length);
      return true;
    }
    return false;
  }

  /** Removes the mappings of a view. If the kernel fails to unmap one, its entry remains in use. */
  remove(view: number): void {
    this.#locked(() => {
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#length(slot);
        if (length === 0 || this.#view(slot) !== view) continue;
        if (!tryUnmap(this.#transfer(slot), length)) return;
        if (tryUnmap(view, length)) writeAddress(this.#words, slot * ENTRY_WORDS + LENGTH, 0);
        // The other address may be mapped for another purpose from now on: it must not be revoked.
        else writeAddress(this.#words, TRANSFERS + slot * 2, view);
        return;
      }
    });
  }

  /** Revokes guest memory. The mappings stay recorded, to be removed by the thread that created them. */
  revokeAll(): void {
    this.#locked(() => {
      Atomics.add(this.#control, REVOCATIONS, 1);
      for (let slot = 0; slot < CAPACITY; slot++) {
        const length = this.#length(slot);
        if (length === 0) continue;
        mapEmptyFile('revoke guest memory', this.#transfer(slot), length);
        mapZeros('revoke guest memory', this.#view(slot), length);
      }
    });
  }

  /** Frees the memory of the table, which must not be used afterwards. */
  free(): void {
    unmap('free the mapping table', this.shared.entries, TABLE_BYTES);
  }

  #view(slot: number): number {
    return this.#u64(slot * ENTRY_WORDS);
  }

  #transfer(slot: number): number {
    return this.#u64(TRANSFERS + slot * 2);
  }

  #length(slot: number): number {
    return this.#u64(slot * ENTRY_WORDS + LENGTH);
  }

  #u64(word: number): number {
    return (this.#words[word + 1] ?? 0) * 0x1_0000_0000 + (this.#words[word] ?? 0);
  }

  #locked<Result>(work: () => Result): Result {
    while (Atomics.compareExchange(this.#control, LOCK, 0, 1) !== 0) {
      if (Atomics.wait(this.#control, LOCK, 1, LOCK_TIMEOUT_MS) === 'timed-out') {
        throw new Error('The mapping table is locked by a thread that does not respond');
      }
    }
    try {
      return work();
    } finally {
      Atomics.store(this.#control, LOCK, 0);
      Atomics.notify(this.#control, LOCK, 1);
    }
  }
}
