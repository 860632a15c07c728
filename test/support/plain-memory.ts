import { NativeBuffer } from '../../src/sys/memory.js';
import { MemoryRegion, type GuestMemory, type RingMemory } from '../../src/virtio/guest-memory.js';

/** Guest memory without a guest, for tests without a kernel. */
export class PlainMemory implements GuestMemory {
  readonly regions: MemoryRegion[] = [];
  readonly #native: boolean;

  /** @param native the memory has a real address; otherwise its address is invalid, and system calls fail */
  constructor(native = false) {
    this.#native = native;
  }

  /** Maps `length` bytes at `start`. */
  map(start: number, length: number, permission: 'r' | 'w' | 'rw' = 'rw'): MemoryRegion {
    const native = this.#native ? new NativeBuffer(length) : undefined;
    const region = new MemoryRegion({
      start,
      length,
      address: native?.address ?? 0x7000_0000_0000 + start,
      readable: permission.includes('r'),
      writable: permission.includes('w'),
      buffer: native?.u8.buffer ?? new ArrayBuffer(Math.ceil(length / 8) * 8),
    });
    this.regions.push(region);
    return region;
  }

  find(iova: number): MemoryRegion | undefined {
    return this.regions.find((region) => iova >= region.start && iova < region.end);
  }

  ring(iova: number, length: number, alignment: number, writable: boolean): RingMemory | undefined {
    const region = this.find(iova);
    if (!region || iova + length > region.end || iova % alignment !== 0) return undefined;
    if (!(writable ? region.writable : region.readable)) return undefined;
    const { buffer } = region.u8 as Uint8Array<ArrayBuffer>;
    return { u16: new Uint16Array(buffer), u32: new Uint32Array(buffer), byteOffset: iova - region.start };
  }
}
