/**
 * The memory that a driver shares with a device, as seen by the device: parts of I/O virtual address space (IOVA) that
 * are mapped into this process.
 *
 * IOVAs are numbers. A region above 2^53 cannot be represented and is not served.
 */

/** A part of guest memory that is contiguous both in IOVA space and in this process. */
export class MemoryRegion {
  /** The first IOVA. */
  readonly start: number;
  /** One past the last IOVA. */
  readonly end: number;
  /**
   * The address of `start` in this process, for system calls and guarded copies. Its mapping may differ from that of
   * the views.
   */
  readonly address: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** The bytes from `start`; the views below are of the same memory. */
  readonly u8: Uint8Array;
  readonly data: DataView;

  constructor(region: {
    start: number;
    length: number;
    address: number;
    readable: boolean;
    writable: boolean;
    buffer: ArrayBuffer;
    /** The offset of `start` in the buffer. */
    byteOffset?: number;
  }) {
    this.start = region.start;
    this.end = region.start + region.length;
    this.address = region.address;
    this.readable = region.readable;
    this.writable = region.writable;
    this.u8 = new Uint8Array(region.buffer, region.byteOffset ?? 0, region.length);
    this.data = new DataView(region.buffer, region.byteOffset ?? 0, region.length);
  }
}

/** Views of a contiguous part of guest memory for one ring, aligned for the ring's fields. */
export interface RingMemory {
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** The start of the part in both views, in bytes. */
  readonly byteOffset: number;
}

/** Access of a device to guest memory. */
export interface GuestMemory {
  /** The region that contains an IOVA, or undefined if nothing is mapped there. */
  find(iova: number): MemoryRegion | undefined;

  /**
   * Views of a ring, valid until the mapping changes.
   * @param alignment required alignment of the address; a power of two, of which 4 is enough for the views
   * @returns undefined if it is not mapped contiguously, not with that permission, or not aligned
   */
  ring(iova: number, length: number, alignment: number, writable: boolean): RingMemory | undefined;
}
