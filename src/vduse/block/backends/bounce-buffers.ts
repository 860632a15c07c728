import { NativeBuffer } from '../../../sys/memory.js';

/** Buffers in use at the same time, in bytes. */
const MAX_IN_USE = 16 * 1024 * 1024;
/** Free buffers that are kept, in bytes. */
const MAX_KEPT = 1024 * 1024;

/** Memory of this process, aligned to pages, for direct transfers whose own memory is not aligned. */
export class BounceBuffers {
  #inUse = 0;
  #kept = 0;
  readonly #free: NativeBuffer[] = [];

  /** A buffer of at least `length` bytes, or undefined if too many are in use: one will be given back. */
  take(length: number): NativeBuffer | undefined {
    if (this.#inUse + length > MAX_IN_USE) return undefined;
    const index = this.#free.findIndex((buffer) => buffer.length >= length);
    const [kept] = index < 0 ? [] : this.#free.splice(index, 1);
    if (kept) this.#kept -= kept.length;
    const buffer = kept ?? new NativeBuffer(length);
    this.#inUse += buffer.length;
    return buffer;
  }

  give(buffer: NativeBuffer): void {
    this.#inUse -= buffer.length;
    if (this.#kept + buffer.length > MAX_KEPT) {
      buffer.free();
      return;
    }
    this.#kept += buffer.length;
    this.#free.push(buffer);
  }

  /** Frees the buffers; none is in use. */
  close(): void {
    for (const buffer of this.#free) buffer.free();
    this.#free.length = 0;
  }
}
