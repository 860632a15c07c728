import { copyMemory } from '../../../sys/guarded-copy.js';
import { IoVector } from '../../../sys/io-vector.js';
import type { NativeBuffer } from '../../../sys/memory.js';
import { WRITE, type Operation, type READ } from '../backend.js';

/** What a job does when its operation of the carrier is done. */
type Step = 'transfer' | 'flush' | 'discard' | 'allocate' | 'zeros';

/** An operation of a file that has begun. */
export class Job {
  /** Identifies it to the carrier. */
  readonly tag: number;
  operation: Operation | undefined;
  step: Step = 'transfer';
  /** The bytes of the operation that are done. */
  done = 0;
  /** The memory of a transfer: a single piece, or the entries of the vector from `first` on. */
  address = 0;
  length = 0;
  entries = 0;
  first = 0;
  vector: IoVector | undefined;
  /** The memory that is used instead; the vector has that of the operation then. */
  bounce: NativeBuffer | undefined;

  constructor(tag: number) {
    this.tag = tag;
  }

  /**
   * Its memory is that of these entries. They are copied if they are several: the caller's are for other requests soon.
   */
  use(vector: IoVector, first: number, count: number): void {
    this.first = 0;
    this.entries = count;
    if (count === 1) {
      this.address = vector.base(first);
      this.length = vector.length(first);
      return;
    }
    const own = this.#ownVector(count);
    for (let entry = first; entry < first + count; entry++) own.push(vector.base(entry), vector.length(entry));
  }

  /** The vector of the job, empty. */
  #ownVector(capacity: number): IoVector {
    if (this.vector === undefined || this.vector.capacity < capacity) {
      this.vector?.free();
      this.vector = new IoVector(capacity);
    }
    this.vector.count = 0;
    return this.vector;
  }

  /** It uses a bounce buffer instead. Its vector has the memory of the driver. */
  useBounce(bounce: NativeBuffer): void {
    if (this.entries === 1) this.#ownVector(1).push(this.address, this.length);
    this.bounce = bounce;
    this.entries = 1;
    this.address = bounce.address;
  }

  /** Removes the first bytes from its memory. */
  skip(bytes: number): void {
    if (this.entries === 1) {
      this.address += bytes;
      this.length -= bytes;
      return;
    }
    const { vector } = this;
    let left = bytes;
    for (; vector && left >= vector.length(this.first); this.first++, this.entries--) left -= vector.length(this.first);
    if (!vector) return;
    vector.replace(this.first, vector.base(this.first) + left, vector.length(this.first) - left);
    if (this.entries > 1) return;
    this.address = vector.base(this.first);
    this.length = vector.length(this.first);
  }

  /**
   * Copies between the bounce buffer and the memory of the driver, from the bytes that are done on.
   * @returns false if memory was missing
   */
  copyPiece(type: typeof READ | typeof WRITE, length: number): boolean {
    const { vector, bounce, done } = this;
    let skip = done;
    let copied = 0;
    for (let entry = 0; vector && bounce && entry < vector.count && copied < length; entry++) {
      const size = vector.length(entry);
      const take = Math.min(Math.max(0, size - skip), length - copied);
      const own = vector.base(entry) + Math.min(skip, size);
      const at = bounce.address + copied;
      if (take > 0 && !(type === WRITE ? copyMemory(at, own, take) : copyMemory(own, at, take))) return false;
      copied += take;
      skip = Math.max(0, skip - size);
    }
    return true;
  }
}
