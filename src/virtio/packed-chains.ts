import { BrokenRingError } from './virtqueue.js';

/** Words of a descriptor: address (low, high), length, flags; the index of the next one is in the upper half of the flags. */
const DESCRIPTOR_WORDS = 4;

/**
 * What a device must remember of the chains of a packed queue until their completion is published. Used entries
 * overwrite the descriptors of whatever chain was there, so that those of chains in flight are kept here; they form
 * lists, as in a split queue. Nor does the ring tell the length of a chain that is completed.
 *
 * The memory is that of the creator. If it outlives the device, another one continues where this one ended; see {@link
 * PackedQueue.resume} and {@link PackedQueue.finish}.
 */
export class PackedChains {
  readonly #size: number;
  /** By buffer id: the first descriptor, and their number in the ring in the upper half. */
  readonly #first: Uint32Array;
  /** By buffer id: the bytes that were written. */
  readonly #written: Uint32Array;
  readonly #descriptors: Uint32Array;
  /** The buffer ids of chains that are completed and not published, in that order. */
  readonly #completed: Uint32Array;

  /** Words that a queue of `size` descriptors needs, apart from those of `completed`. */
  static words(size: number): number {
    return size * (2 + DESCRIPTOR_WORDS);
  }

  /**
   * @param words see {@link PackedChains.words}
   * @param completed `size` words for the buffer ids of the chains that are completed next
   */
  constructor(words: Uint32Array, completed: Uint32Array, size: number) {
    this.#size = size;
    this.#first = words.subarray(0, size);
    this.#written = words.subarray(size, size * 2);
    this.#descriptors = words.subarray(size * 2, size * (2 + DESCRIPTOR_WORDS));
    this.#completed = completed;
  }

  /** The largest queue. */
  get size(): number {
    return this.#size;
  }

  /** Keeps a descriptor in a slot. @param flags without those of the ring */
  setDescriptor(slot: number, low: number, high: number, length: number, flags: number): void {
    const at = slot * DESCRIPTOR_WORDS;
    this.#descriptors[at] = low;
    this.#descriptors[at + 1] = high;
    this.#descriptors[at + 2] = length;
    this.#descriptors[at + 3] = flags;
  }

  setNext(slot: number, next: number): void {
    const at = slot * DESCRIPTOR_WORDS + 3;
    this.#descriptors[at] = (this.#descriptors[at] ?? 0) | (next << 16);
  }

  low(slot: number): number {
    return this.#descriptors[slot * DESCRIPTOR_WORDS] ?? 0;
  }

  high(slot: number): number {
    return this.#descriptors[slot * DESCRIPTOR_WORDS + 1] ?? 0;
  }

  length(slot: number): number {
    return this.#descriptors[slot * DESCRIPTOR_WORDS + 2] ?? 0;
  }

  flags(slot: number): number {
    return (this.#descriptors[slot * DESCRIPTOR_WORDS + 3] ?? 0) & 0xffff;
  }

  next(slot: number): number {
    return this.#slot((this.#descriptors[slot * DESCRIPTOR_WORDS + 3] ?? 0) >>> 16);
  }

  /** Keeps where a chain is, and its number of descriptors in the ring. */
  setChain(id: number, slot: number, count: number): void {
    this.#first[id] = slot | (count << 16);
  }

  first(id: number): number {
    return this.#slot((this.#first[id] ?? 0) & 0xffff);
  }

  /** The number of descriptors of a chain, at least 1. */
  count(id: number): number {
    const count = (this.#first[id] ?? 0) >>> 16;
    if (count === 0 || count > this.#size) throw damaged();
    return count;
  }

  /** Adds a completed chain. @param place after those that are completed and not published */
  complete(place: number, id: number, written: number): void {
    this.#completed[place] = id;
    this.#written[id] = written;
  }

  /** The chain completed at a place. */
  completed(place: number): number {
    return this.#completed[place] ?? 0;
  }

  written(id: number): number {
    return this.#written[id] ?? 0;
  }

  #slot(slot: number): number {
    if (slot >= this.#size) throw damaged();
    return slot;
  }
}

function damaged(): BrokenRingError {
  return new BrokenRingError('the log of requests in flight is damaged');
}
