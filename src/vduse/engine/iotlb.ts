import { fstatSync } from 'node:fs';
import { SystemError } from '../../sys/error.js';
import { close } from '../../sys/libc.js';
import { MAP_NORESERVE, MAP_SHARED, mapFile, pageSize, PROT_READ, PROT_WRITE, viewMemory } from '../../sys/memory.js';
import { MemoryRegion, type GuestMemory, type RingMemory } from '../../virtio/guest-memory.js';
import type { IotlbEntry, VduseDevice } from '../kernel/device.js';
import type { DualMapping, MappingTable } from './mappings.js';

/** The views of a mapping start at multiples of this; a buffer may span two. */
const PIECE_BYTES = 2 ** 30;

/** They overlap the next view by this much, so that each ring lies in one view: the largest table has 512 KiB. */
const OVERLAP_BYTES = 2 ** 20;

/** IOVAs up to this one can be added to as numbers. */
const MAX_IOVA = 2 ** 52;

/** Limit of a driver's mappings; more would use up the address space of the server. Each byte takes two. */
const MAX_MAPPED_BYTES = 2 ** 42;

/** The largest page size. */
const MAX_PAGE_BYTES = 2 ** 30;

/** One entry of the kernel's IOTLB, mapped. */
interface Mapping {
  readonly start: number;
  readonly end: number;
  /**
   * The mapped range: the whole pages of the file that contain [start, end), from the IOVA `page` on, which may be
   * negative.
   */
  readonly page: number;
  readonly mapped: DualMapping;
  readonly mappedLength: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Created on demand. */
  readonly pieces: (Piece | undefined)[];
}

/** A view of a part of a mapping. */
interface Piece {
  /** The IOVA of the first byte of the buffer; the rest may be in other regions. */
  readonly start: number;
  readonly buffer: ArrayBuffer;
  readonly region: MemoryRegion;
}

/**
 * The memory of a device's driver, mapped on demand. Mappings are kept until the kernel reports a change; they must be
 * dropped before the change is acknowledged.
 */
export class Iotlb implements GuestMemory {
  readonly #device: Pick<VduseDevice, 'iotlbEntry'>;
  readonly #table: MappingTable;
  readonly #asid: number;
  #mappings: Mapping[] = [];
  #mappedBytes = 0;
  #last: MemoryRegion | undefined;

  constructor(device: Pick<VduseDevice, 'iotlbEntry'>, table: MappingTable, asid = 0) {
    this.#device = device;
    this.#table = table;
    this.#asid = asid;
  }

  find(iova: number): MemoryRegion | undefined {
    const last = this.#last;
    if (last !== undefined && iova >= last.start && iova < last.end) return last;
    const mapping = this.#mapping(iova);
    if (!mapping) return undefined;
    this.#last = pieceAt(mapping, iova).region;
    return this.#last;
  }

  ring(iova: number, length: number, alignment: number, writable: boolean): RingMemory | undefined {
    const mapping = this.#mapping(iova);
    if (!mapping || iova + length > mapping.end || iova % alignment !== 0) return undefined;
    if (!(writable ? mapping.writable : mapping.readable)) return undefined;
    const piece = pieceAt(mapping, iova);
    const into = iova - piece.start;
    const page = into - (into % pageSize);
    const pages = Math.ceil((into + length - page) / pageSize) * pageSize;
    return {
      u16: new Uint16Array(piece.buffer, page, pages / 2),
      u32: new Uint32Array(piece.buffer, page, pages / 4),
      byteOffset: into - page,
    };
  }

  /** Drops the mappings that overlap [start, last]. Regions and views from them must not be used afterwards. */
  invalidate(start: bigint, last: bigint): void {
    this.#last = undefined;
    const kept: Mapping[] = [];
    for (const mapping of this.#mappings) {
      if (BigInt(mapping.end) <= start || BigInt(mapping.start) > last) kept.push(mapping);
      else this.#drop(mapping);
    }
    this.#mappings = kept;
  }

  /** Drops everything. */
  clear(): void {
    this.#last = undefined;
    for (const mapping of this.#mappings) this.#drop(mapping);
    this.#mappings = [];
  }

  #drop(mapping: Mapping): void {
    this.#table.remove(mapping.mapped.view);
    this.#mappedBytes -= mapping.mappedLength;
  }

  #mapping(iova: number): Mapping | undefined {
    for (const mapping of this.#mappings) if (iova >= mapping.start && iova < mapping.end) return mapping;
    if (!(iova >= 0 && iova < MAX_IOVA)) return undefined;
    const { revocations } = this.#table;
    try {
      const entry = this.#device.iotlbEntry(BigInt(iova), BigInt(iova), this.#asid);
      if (!entry) return undefined;
      try {
        return this.#map(entry, revocations);
      } finally {
        close(entry.fd);
      }
    } catch (error) {
      // The error ends the request that needs the memory, never the thread.
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }

  /**
   * Maps an entry, unless it is invalid: this is the driver's fault and treated like a missing entry.
   * @throws SystemError
   */
  #map(entry: IotlbEntry, revocations: number): Mapping | undefined {
    const start = Number(entry.start);
    const length = Number(entry.last - entry.start) + 1;
    const offset = Number(entry.offset);
    if (start + length > MAX_IOVA || offset + length > MAX_IOVA) return undefined;
    // The views of rings need the alignment of the IOVAs that the driver chose.
    if (start % pageSize !== offset % pageSize) return undefined;
    const filePage = pageSizeOf(entry.fd);
    const intoPage = offset % filePage;
    const mappedLength = Math.ceil((intoPage + length) / filePage) * filePage;
    if (this.#mappedBytes + mappedLength > MAX_MAPPED_BYTES) return undefined;
    // A device reads its own used ring, in memory that it may only have permission to write. No processor has
    // write-only memory, and some kernels end a process that reads a write-only mapping.
    const protection = PROT_READ | (entry.writable ? PROT_WRITE : 0);
    const mapped = this.#table.add(mappedLength, revocations, () =>
      mapFile('map guest memory', entry.fd, mappedLength, protection, MAP_SHARED | MAP_NORESERVE, offset - intoPage),
    );
    if (mapped === undefined) return undefined;
    this.#mappedBytes += mappedLength;
    const mapping: Mapping = {
      start,
      end: start + length,
      page: start - intoPage,
      mapped,
      mappedLength,
      readable: entry.readable,
      writable: entry.writable,
      pieces: [],
    };
    this.#mappings.push(mapping);
    return mapping;
  }
}

/**
 * The alignment of the offset and length of a mapping of a file: huge pages are mapped whole. Their file system reports
 * their size as its block size; the values of other file systems do no harm.
 */
function pageSizeOf(fd: number): number {
  let blksize: number;
  try {
    ({ blksize } = fstatSync(fd));
  } catch {
    return pageSize; // A file system server may return any error.
  }
  const isPage = blksize > pageSize && blksize <= MAX_PAGE_BYTES && Number.isInteger(Math.log2(blksize));
  return isPage ? blksize : pageSize;
}

/** The part of a mapping that contains an IOVA. */
function pieceAt(mapping: Mapping, iova: number): Piece {
  const { page, mapped, mappedLength, pieces } = mapping;
  const index = Math.floor((iova - page) / PIECE_BYTES);
  const made = pieces[index];
  if (made) return made;
  const from = index * PIECE_BYTES;
  const buffer = viewMemory(mapped.view + from, Math.min(PIECE_BYTES + OVERLAP_BYTES, mappedLength - from));
  const start = Math.max(mapping.start, page + from);
  const region = new MemoryRegion({
    start,
    length: Math.min(page + from + PIECE_BYTES, mapping.end) - start,
    address: mapped.transfer + (start - page),
    readable: mapping.readable,
    writable: mapping.writable,
    buffer,
    byteOffset: start - page - from,
  });
  const piece = { start: page + from, buffer, region };
  pieces[index] = piece;
  return piece;
}
