import { ArgumentError } from '../sys/error.js';
import type { MemoryRegion } from './guest-memory.js';

/** Receives segments of a chain as address and length, for a system call. */
export interface SegmentSink {
  readonly count: number;
  readonly capacity: number;
  push(address: number, length: number): void;
}

/**
 * One request of a driver: segments of memory that the device reads, followed by segments that it writes. The object is
 * reused for each request, so that none is allocated; its description is checked, the contents of the memory are not.
 */
export class DescriptorChain {
  /** Identifies the chain: the index of its first descriptor, which is returned in the used ring. */
  head = 0;
  /** Number of segments; the first `readableCount` are for reading, the rest for writing. */
  count = 0;
  readableCount = 0;
  /** Bytes in each part. */
  readableBytes = 0;
  writableBytes = 0;
  /** Why not all of its buffers are valid, or undefined. The segments are the valid ones. */
  fault: string | undefined;
  /** Whether the last byte of the writable part can be written, at `writableBytes - 1`, even if the chain is faulty. */
  endWritable = false;

  readonly capacity: number;
  readonly #regions: MemoryRegion[] = [];
  /** From the region's first byte. A region has less than 2^32 bytes. */
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint32Array;

  /** @param capacity maximum number of segments: a buffer that spans two regions has two */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
  }

  /** Begins a chain. */
  reset(head: number): void {
    this.head = head;
    this.count = 0;
    this.readableCount = 0;
    this.readableBytes = 0;
    this.writableBytes = 0;
    this.fault = undefined;
    this.endWritable = false;
  }

  /** Adds a segment; false if there is no space for it. Readable ones come first. */
  push(region: MemoryRegion, offset: number, length: number, writable: boolean): boolean {
    const index = this.count;
    if (index === this.capacity) return false;
    this.#regions[index] = region;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
    this.count = index + 1;
    if (writable) {
      this.writableBytes += length;
    } else {
      this.readableCount = index + 1;
      this.readableBytes += length;
    }
    return true;
  }

  region(index: number): MemoryRegion {
    const region = this.#regions[index];
    if (region === undefined) throw new ArgumentError(`a chain of ${this.count} segments has no segment ${index}`);
    return region;
  }

  offset(index: number): number {
    return this.#offsets[index] ?? 0;
  }

  length(index: number): number {
    return this.#lengths[index] ?? 0;
  }

  /** Copies from the readable part, from byte `from` on; returns the number of bytes. */
  read(target: Uint8Array, from = 0): number {
    let skip = from;
    let done = 0;
    for (let index = 0; index < this.readableCount && done < target.length; index++) {
      const length = this.length(index);
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const offset = this.offset(index) + skip;
      const take = Math.min(length - skip, target.length - done);
      target.set(this.region(index).u8.subarray(offset, offset + take), done);
      done += take;
      skip = 0;
    }
    return done;
  }

  /** Copies to the writable part, from byte `from` on; returns the number of bytes that fit. */
  write(source: Uint8Array, from = 0): number {
    let skip = from;
    let done = 0;
    for (let index = this.readableCount; index < this.count && done < source.length; index++) {
      const length = this.length(index);
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const take = Math.min(length - skip, source.length - done);
      this.region(index).u8.set(source.subarray(done, done + take), this.offset(index) + skip);
      done += take;
      skip = 0;
    }
    return done;
  }

  /** The byte `position` of the readable part; 0 beyond its end. */
  readByte(position: number): number {
    let skip = position;
    for (let index = 0; index < this.readableCount; index++) {
      const length = this.length(index);
      if (skip < length) return this.region(index).u8[this.offset(index) + skip] ?? 0;
      skip -= length;
    }
    return 0;
  }

  /** Writes the byte `position` of the writable part; nothing beyond its end. */
  writeByte(position: number, byte: number): void {
    let skip = position;
    for (let index = this.readableCount; index < this.count; index++) {
      const length = this.length(index);
      if (skip < length) {
        this.region(index).u8[this.offset(index) + skip] = byte;
        return;
      }
      skip -= length;
    }
  }

  /**
   * Passes `length` bytes of the readable or the writable part, from byte `from` on, to a sink.
   * @returns false if the sink has no space for all of them; it has received some then
   */
  gather(sink: SegmentSink, writable: boolean, from: number, length: number): boolean {
    const end = writable ? this.count : this.readableCount;
    let skip = from;
    let left = length;
    for (let index = writable ? this.readableCount : 0; index < end && left > 0; index++) {
      const size = this.length(index);
      if (skip >= size) {
        skip -= size;
        continue;
      }
      if (sink.count === sink.capacity) return false;
      const take = Math.min(size - skip, left);
      sink.push(this.region(index).address + this.offset(index) + skip, take);
      left -= take;
      skip = 0;
    }
    return true;
  }
}
