/**
 * The memory that a driver shares with a device, as the device sees it: pieces of I/O virtual address space (IOVA) that
 * are mapped into this process.
 *
 * IOVAs are numbers. A region above 2^53 cannot be named by one and is not served.
 */

/** A piece of guest memory that lies together both in IOVA space and in this process. */
export class MemoryRegion {
  /** The first IOVA. */
  readonly start: number;
  /** One past the last IOVA. */
  readonly end: number;
  /** Where `start` is in this process: for system calls and guarded copies. It may be another mapping than that of the views. */
  readonly address: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** The bytes from `start`; the views below are of the same. */
  readonly u8: Uint8Array;
  readonly data: DataView;

  constructor(region: {
    start: number;
    length: number;
    address: number;
    readable: boolean;
    writable: boolean;
    buffer: ArrayBuffer;
    /** Where `start` is in the buffer. */
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

/** Views of a piece of guest memory for one ring: whole, and aligned to what the ring's fields need. */
export interface RingMemory {
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Where the piece begins in both views, in bytes. */
  readonly byteOffset: number;
}

/** How a device gets at guest memory. */
export interface GuestMemory {
  /** The region that an IOVA lies in, or undefined where nothing is mapped. */
  find(iova: number): MemoryRegion | undefined;

  /**
   * Views of a ring, valid until the mapping changes.
   * @param alignment what the address must be a multiple of; a power of two, 4 or less being enough for the views
   * @returns undefined where it is not mapped as one piece, not with that permission, or not aligned
   */
  ring(iova: number, length: number, alignment: number, writable: boolean): RingMemory | undefined;
}
