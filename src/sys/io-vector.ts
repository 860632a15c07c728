import { NativeBuffer, writeAddress } from './memory.js';

/** Length of a struct iovec on a 64-bit machine, in bytes: an address and a length. */
const IOVEC_SIZE = 16;

/** A reusable array of struct iovec in native memory, for preadv(2) and related calls. */
export class IoVector {
  readonly capacity: number;
  /** Number of filled entries. */
  count = 0;
  readonly #memory: NativeBuffer;
  readonly #words: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#memory = new NativeBuffer(capacity * IOVEC_SIZE);
    this.#words = this.#memory.u32;
  }

  /** Adds an entry. The caller ensures that `count` is below `capacity`. */
  push(address: number, length: number): void {
    this.replace(this.count++, address, length);
  }

  /** Changes entry `index`. */
  replace(index: number, address: number, length: number): void {
    const word = index * 4;
    writeAddress(this.#words, word, address);
    this.#words[word + 2] = length;
    this.#words[word + 3] = 0;
  }

  /** The address of entry `index`, for a system call. */
  at(index: number): number {
    return this.#memory.address + index * IOVEC_SIZE;
  }

  /** The length of the memory that entry `index` names. */
  length(index: number): number {
    return this.#words[index * 4 + 2] ?? 0;
  }

  /** The address of the memory that entry `index` names. */
  base(index: number): number {
    return (this.#words[index * 4 + 1] ?? 0) * 0x1_0000_0000 + (this.#words[index * 4] ?? 0);
  }

  free(): void {
    this.#memory.free();
  }
}
