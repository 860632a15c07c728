import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { NativeBuffer } from '../sys/memory.js';
import { SizedStructure } from './structure.js';
import * as uapi from './uapi.js';

/** The number of an I/O address space in its /dev/iommu file. */
export type IoasId = number & { readonly brand: 'IoasId' };

/** A number that the kernel has given to an I/O address space. */
export function toIoasId(id: number): IoasId {
  // The brand exists only in the type: it says where the number comes from.
  return id as IoasId;
}

/** I/O virtual addresses from `start` to `last`, both included. */
export interface IovaRange {
  readonly start: bigint;
  readonly last: bigint;
}

/** Where mappings are allowed. */
export interface IovaRanges {
  /** Ascending. They shrink when devices are attached. */
  readonly ranges: readonly IovaRange[];
  /** The alignment of the start and the length of a mapping, in bytes: a power of two, at most a page. */
  readonly alignment: bigint;
}

/** The access of devices to a mapping. */
export type Access = 'read' | 'write' | 'read-write';

/** Options of all mappings. */
export interface MapOptions {
  /** In bytes. */
  readonly length: bigint;
  /** Its address; chosen by the kernel if absent. */
  readonly iova?: bigint;
  readonly access: Access;
}

/** ioctl(2) on an open /dev/iommu, with a structure that it may fill. @throws SystemError */
export type IommufdCall = (operation: string, request: number, argument: Uint8Array) => void;

const endOfIovas = 0xffff_ffff_ffff_ffffn;
const rangeSize = 16;

/**
 * An I/O address space: the memory as seen by devices. Created by {@link Iommufd.allocateIoas}.
 *
 * Every method throws SystemError; see {@link Iommufd}.
 */
export class Ioas {
  readonly id: IoasId;
  readonly #ioctl: IommufdCall;

  /** @param ioctl of the file that it was created in */
  constructor(ioctl: IommufdCall, id: IoasId) {
    this.#ioctl = ioctl;
    this.id = id;
  }

  /** Where mappings are currently allowed (IOMMU_IOAS_IOVA_RANGES). */
  iovaRanges(): IovaRanges {
    for (let room = 64; ;) {
      const buffer = new NativeBuffer(room * rangeSize);
      try {
        const argument = new SizedStructure(32).u32(4, this.id).u32(8, room).u64(16, BigInt(buffer.address));
        const whole = this.#askRanges(argument);
        const count = argument.readU32(8);
        if (!whole) {
          room = count; // Their number, which may grow before the next call.
          continue;
        }
        return { ranges: readRanges(buffer, count), alignment: argument.readU64(24) };
      } finally {
        buffer.free();
      }
    }
  }

  /**
   * Reserves ranges: a device that would restrict them cannot be attached, and the kernel chooses addresses only in
   * them (IOMMU_IOAS_ALLOW_IOVAS). The list replaces the previous one; an empty one allows all.
   * @throws SystemError EADDRINUSE if one is restricted already; EINVAL if they overlap or are empty
   */
  allowIovas(ranges: readonly IovaRange[]): void {
    const buffer = new NativeBuffer(Math.max(ranges.length, 1) * rangeSize);
    try {
      const words = new BigUint64Array(buffer.u8.buffer);
      for (const [index, { start, last }] of ranges.entries()) words.set([start, last], index * 2);
      const argument = new SizedStructure(24).u32(4, this.id).u32(8, ranges.length).u64(16, BigInt(buffer.address));
      this.#call('allow I/O virtual addresses', uapi.IOMMU_IOAS_ALLOW_IOVAS, argument);
    } finally {
      buffer.free();
    }
  }

  /**
   * Maps memory of this process (IOMMU_IOAS_MAP).
   * @param options.address its address, from mmap(2). JavaScript's own memory has no stable address
   * @returns the first I/O virtual address
   * @throws SystemError EEXIST if something is mapped there; ENOSPC if the allowed ranges are full; EINVAL for wrong
   * alignment; EOVERFLOW past the end of all addresses
   */
  map(options: MapOptions & { readonly address: bigint }): bigint {
    const argument = new SizedStructure(40)
      .u32(4, mapFlags(options))
      .u32(8, this.id)
      .u64(16, options.address)
      .u64(24, options.length)
      .u64(32, options.iova ?? 0n);
    this.#call('map memory for devices', uapi.IOMMU_IOAS_MAP, argument);
    return argument.readU64(32);
  }

  /**
   * Maps a file in memory: a memfd, or a DMA buffer of VFIO (IOMMU_IOAS_MAP_FILE, Linux 6.13).
   * @param options.start offset in the file, in bytes
   * @returns the first I/O virtual address
   * @throws SystemError as {@link map} does; EBADF. Other kinds of files are rejected when a device uses the mapping
   */
  mapFile(options: MapOptions & { readonly fd: number; readonly start: bigint }): bigint {
    const argument = new SizedStructure(40)
      .u32(4, mapFlags(options))
      .u32(8, this.id)
      .s32(12, options.fd)
      .u64(16, options.start)
      .u64(24, options.length)
      .u64(32, options.iova ?? 0n);
    this.#call('map a file for devices', uapi.IOMMU_IOAS_MAP_FILE, argument);
    return argument.readU64(32);
  }

  /**
   * Maps the memory of a mapping in another address space of the same file here as well; the memory is pinned once
   * (IOMMU_IOAS_COPY). The source may be this address space.
   * @param options.sourceIova its address there: within one mapping
   * @returns the first I/O virtual address here
   */
  copyFrom(source: Ioas, options: MapOptions & { readonly sourceIova: bigint }): bigint {
    const argument = new SizedStructure(40)
      .u32(4, mapFlags(options))
      .u32(8, this.id)
      .u32(12, source.id)
      .u64(16, options.length)
      .u64(24, options.iova ?? 0n)
      .u64(32, options.sourceIova);
    this.#call('copy a mapping for devices', uapi.IOMMU_IOAS_COPY, argument);
    return argument.readU64(24);
  }

  /**
   * Unmaps all mappings from `iova` on, for `length` bytes (IOMMU_IOAS_UNMAP). None may cross the boundaries.
   * @returns the number of bytes that were mapped there
   * @throws SystemError ENOENT if nothing is mapped there, or a mapping would be split
   */
  unmap(iova: bigint, length: bigint): bigint {
    const argument = new SizedStructure(24).u32(4, this.id).u64(8, iova).u64(16, length);
    this.#call('unmap memory from devices', uapi.IOMMU_IOAS_UNMAP, argument);
    return argument.readU64(16);
  }

  /** Unmaps everything. @returns the number of bytes that were mapped */
  unmapAll(): bigint {
    try {
      return this.unmap(0n, endOfIovas);
    } catch (error) {
      // Older kernels return this error if there is nothing to unmap.
      if (error instanceof SystemError && error.errno === Errno.ENOENT) return 0n;
      throw error;
    }
  }

  /** Whether contiguous pages are mapped in the IOMMU as large ones (IOMMU_OPTION_HUGE_PAGES); initially true. */
  get hugePages(): boolean {
    return this.#hugePagesOption(uapi.IOMMU_OPTION_OP_GET, 0n).readU64(16) === 1n;
  }

  /** @throws SystemError EINVAL if an existing mapping is not page-aligned */
  set hugePages(on: boolean) {
    this.#hugePagesOption(uapi.IOMMU_OPTION_OP_SET, on ? 1n : 0n);
  }

  /** Destroys it, with all its mappings (IOMMU_DESTROY). @throws SystemError EBUSY while a device uses it */
  destroy(): void {
    this.#call('destroy an I/O address space', uapi.IOMMU_DESTROY, new SizedStructure(8).u32(4, this.id));
  }

  /** False if there was not enough space for all of them. */
  #askRanges(argument: SizedStructure): boolean {
    try {
      this.#call('read the ranges of I/O virtual addresses', uapi.IOMMU_IOAS_IOVA_RANGES, argument);
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.errno === Errno.EMSGSIZE) return false;
      throw error;
    }
  }

  #hugePagesOption(operation: number, value: bigint): SizedStructure {
    const argument = new SizedStructure(24)
      .u32(4, uapi.IOMMU_OPTION_HUGE_PAGES)
      .u16(8, operation)
      .u32(12, this.id)
      .u64(16, value);
    this.#call('huge pages of an I/O address space', uapi.IOMMU_OPTION, argument);
    return argument;
  }

  #call(operation: string, request: number, argument: SizedStructure): void {
    this.#ioctl(operation, request, argument.bytes);
  }
}

function readRanges(buffer: NativeBuffer, count: number): IovaRange[] {
  const words = new BigUint64Array(buffer.u8.buffer);
  return Array.from({ length: count }, (_, index) => ({
    start: words[index * 2] ?? 0n,
    last: words[index * 2 + 1] ?? 0n,
  }));
}

const accessFlags = {
  read: uapi.IOMMU_IOAS_MAP_READABLE,
  write: uapi.IOMMU_IOAS_MAP_WRITEABLE,
  'read-write': uapi.IOMMU_IOAS_MAP_READABLE | uapi.IOMMU_IOAS_MAP_WRITEABLE,
} as const;

function mapFlags({ access, iova }: MapOptions): number {
  return accessFlags[access] | (iova === undefined ? 0 : uapi.IOMMU_IOAS_MAP_FIXED_IOVA);
}
