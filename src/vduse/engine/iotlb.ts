import { fstatSync } from 'node:fs';
import { SystemError } from '../../sys/error.js';
import { close } from '../../sys/libc.js';
import { MAP_NORESERVE, MAP_SHARED, mapFile, pageSize, PROT_READ, PROT_WRITE, viewMemory } from '../../sys/memory.js';
import { MemoryRegion, type GuestMemory, type RingMemory } from '../../virtio/guest-memory.js';
import type { IotlbEntry, VduseDevice } from '../kernel/device.js';
import type { DualMapping, MappingTable } from './mappings.js';

/** A mapping is seen in pieces that begin so far apart; a buffer may lie across two. */
const PIECE_BYTES = 2 ** 30;

/** And they go so far into the next one that each ring lies in one: the largest table has 512 KiB. */
const OVERLAP_BYTES = 2 ** 20;

/** IOVAs up to here are numbers that can be added to. */
const MAX_IOVA = 2 ** 52;

/** A driver that maps more than this would use up the address space of the server. Each byte takes two. */
const MAX_MAPPED_BYTES = 2 ** 42;

/** The largest page that there is. */
const MAX_PAGE_BYTES = 2 ** 30;

/** One entry of the kernel's IOTLB, mapped. */
interface Mapping {
  readonly start: number;
  readonly end: number;
  /** What was mapped: the whole pages of the file that [start, end) lies in, from the IOVA `page` on, which may be negative. */
  readonly page: number;
  readonly mapped: DualMapping;
  readonly mappedLength: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Made as they are asked for. */
  readonly pieces: (Piece | undefined)[];
}

/** What is seen of a mapping at once. */
interface Piece {
  /** The IOVA of the first byte of the buffer, whose rest may be of others. */
  readonly start: number;
  readonly buffer: ArrayBuffer;
  readonly region: MemoryRegion;
}

/**
 * The memory of a device's driver, mapped as it is asked for. What was found is kept until the kernel says that it has
 * changed; then it must be dropped before that is acknowledged.
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

  /** Drops what overlaps [start, last]. Regions and views that came from it must not be used any more. */
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
      // It ends the request that needs the memory, never the thread.
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }

  /**
   * Maps an entry, unless it is one that cannot be: the driver's doing, and like one that is not there.
   * @throws SystemError; MemoryRevokedError where guest memory was taken away since the entry was looked up
   */
  #map(entry: IotlbEntry, revocations: number): Mapping | undefined {
    const start = Number(entry.start);
    const length = Number(entry.last - entry.start) + 1;
    const offset = Number(entry.offset);
    if (start + length > MAX_IOVA || offset + length > MAX_IOVA) return undefined;
    // The rings' views need the alignment that the driver gave their IOVAs.
    if (start % pageSize !== offset % pageSize) return undefined;
    const filePage = pageSizeOf(entry.fd);
    const intoPage = offset % filePage;
    const mappedLength = Math.ceil((intoPage + length) / filePage) * filePage;
    if (this.#mappedBytes + mappedLength > MAX_MAPPED_BYTES) return undefined;
    // A device reads its own used ring, in memory that it need only be let write to. No processor has write-only memory,
    // and some kernels end a process that reads what was mapped so.
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
 * What the offset of a mapping of a file must be a multiple of, and its length: huge pages are mapped whole. A file system
 * on them says their size as its block size; what others say does no harm.
 */
function pageSizeOf(fd: number): number {
  let blksize: number;
  try {
    ({ blksize } = fstatSync(fd));
  } catch {
    return pageSize; // The file's own server may say any error.
  }
  const isPage = blksize > pageSize && blksize <= MAX_PAGE_BYTES && Number.isInteger(Math.log2(blksize));
  return isPage ? blksize : pageSize;
}

/** The piece of a mapping that an IOVA lies in. */
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
