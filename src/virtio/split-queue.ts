import type { DescriptorChain } from './descriptor-chain.js';
import type { GuestMemory, RingMemory } from './guest-memory.js';
import * as ring from './ring.js';

/** The driver has violated the rules of a ring, so that its contents are unreliable until the device is reset. */
export class BrokenRingError extends Error {
  override readonly name = 'BrokenRingError';
}

/** The addresses of a queue and the negotiated features. */
export interface QueueLayout {
  /** Number of descriptors: a power of two, at most 32768. */
  readonly size: number;
  /** IOVAs. */
  readonly descriptorTable: number;
  readonly availableRing: number;
  readonly usedRing: number;
  /** VIRTIO_RING_F_EVENT_IDX and VIRTIO_RING_F_INDIRECT_DESC. */
  readonly eventIndex: boolean;
  readonly indirect: boolean;
  /**
   * Maximum length of a chain: the queue size that the device offers, which a driver may use even if it made the queue
   * shorter.
   */
  readonly maxChain: number;
}

/** Addresses whose upper half is above this cannot be represented exactly by a number. */
const MAX_HIGH_WORD = 0x1f_fffe;

/**
 * The device's side of a split virtqueue. It handles rings independent of the type of device: it takes chains and
 * returns used entries.
 *
 * The driver is not trusted. Each index, flag and length is read once and checked before it is used; violations of the
 * ring throw {@link BrokenRingError}, faulty buffers of a chain are recorded in the chain.
 *
 * If chains are completed in the order in which they were taken, the used index alone tells where to continue after the
 * device was stopped at any moment.
 */
export class SplitQueue {
  readonly layout: QueueLayout;
  /** The next available entry to take, and the next used entry to fill; both wrap from 65535 to 0. */
  nextAvailable: number;
  nextUsed: number;

  readonly #memory: GuestMemory;
  readonly #size: number;
  readonly #mask: number;
  readonly #eventIndex: boolean;
  readonly #descriptors: DataView;
  readonly #descriptorsAt: number;
  readonly #available: Uint16Array;
  /** Indices into #available and the views of the used ring. */
  readonly #availableAt: number;
  readonly #usedWords: Uint16Array;
  readonly #usedWordsAt: number;
  readonly #usedEntries: Uint32Array;
  readonly #usedEntriesAt: number;
  /** The driver's index as last read. */
  #availableIndex: number;
  /** The used index published in memory, and the one of the last interrupt. */
  #publishedUsed: number;
  #interruptedUsed: number;
  #indirectAt = 0;
  /** A driver that has set up a ring kicks. */
  #kicksEnabled = true;

  /**
   * @param nextAvailable the first available entry to take; undefined to continue at the end of the used ring
   * @returns undefined if the rings are not mapped; they may be later
   */
  static map(memory: GuestMemory, layout: QueueLayout, nextAvailable: number | undefined): SplitQueue | undefined {
    const { size, descriptorTable, availableRing, usedRing } = layout;
    const table = memory.ring(descriptorTable, ring.descriptorTableBytes(size), ring.DESCRIPTOR_TABLE_ALIGNMENT, false);
    const available = memory.ring(availableRing, ring.availableRingBytes(size), ring.AVAILABLE_RING_ALIGNMENT, false);
    const used = memory.ring(usedRing, ring.usedRingBytes(size), ring.USED_RING_ALIGNMENT, true);
    if (!table || !available || !used) return undefined;
    return new SplitQueue(memory, layout, table, available, used, nextAvailable);
  }

  private constructor(
    memory: GuestMemory,
    layout: QueueLayout,
    table: RingMemory,
    available: RingMemory,
    used: RingMemory,
    nextAvailable: number | undefined,
  ) {
    this.layout = layout;
    this.#memory = memory;
    this.#size = layout.size;
    this.#mask = layout.size - 1;
    this.#eventIndex = layout.eventIndex;
    this.#descriptors = new DataView(table.u32.buffer, table.u32.byteOffset);
    this.#descriptorsAt = table.byteOffset;
    this.#available = available.u16;
    this.#availableAt = available.byteOffset >>> 1;
    this.#usedWords = used.u16;
    this.#usedWordsAt = used.byteOffset >>> 1;
    this.#usedEntries = used.u32;
    this.#usedEntriesAt = (used.byteOffset >>> 2) + 1;
    this.nextUsed = Atomics.load(this.#usedWords, this.#usedWordsAt + 1);
    this.#publishedUsed = this.nextUsed;
    this.#interruptedUsed = this.nextUsed;
    this.nextAvailable = nextAvailable ?? this.nextUsed;
    this.#availableIndex = this.nextAvailable;
  }

  /** Whether the driver's index has changed since the last chain was taken; its value is not checked. */
  get hasNew(): boolean {
    return Atomics.load(this.#available, this.#availableAt + 1) !== this.nextAvailable;
  }

  /**
   * Number of chains that can be taken.
   * @throws BrokenRingError
   */
  pending(): number {
    const index = Atomics.load(this.#available, this.#availableAt + 1);
    const count = (index - this.nextAvailable) & 0xffff;
    if (count > this.#size) {
      throw new BrokenRingError(`available index ${count} entries ahead in a queue of ${this.#size}`);
    }
    this.#availableIndex = index;
    return count;
  }

  /**
   * Takes the next chain.
   * @returns false if there is none
   * @throws BrokenRingError
   */
  take(chain: DescriptorChain): boolean {
    if (this.nextAvailable === this.#availableIndex && this.pending() === 0) return false;
    const head = this.#available[this.#availableAt + 2 + (this.nextAvailable & this.#mask)] ?? 0;
    this.read(head, chain);
    this.nextAvailable = (this.nextAvailable + 1) & 0xffff;
    return true;
  }

  /**
   * Reads the chain that begins at a descriptor.
   * @throws BrokenRingError
   */
  read(head: number, chain: DescriptorChain): void {
    if (head >= this.#size)
      throw new BrokenRingError(`descriptor index ${head} out of range in a queue of ${this.#size}`);
    chain.reset(head);
    this.#walk(head, chain);
  }

  /** Puts back the last `count` chains that were taken but not completed. */
  putBack(count: number): void {
    this.nextAvailable = (this.nextAvailable - count) & 0xffff;
  }

  /** Continues after `count` chains more, which were taken before. */
  skip(count: number): void {
    this.nextAvailable = (this.nextAvailable + count) & 0xffff;
    this.#availableIndex = this.nextAvailable;
  }

  #walk(head: number, chain: DescriptorChain): void {
    let table = this.#descriptors;
    let tableAt = this.#descriptorsAt;
    let entries = this.#size;
    let inIndirect = false;
    let writing = false;
    let index = head;
    for (let steps = 0; ; steps++) {
      if (steps > this.layout.maxChain) {
        throw new BrokenRingError(`descriptor chain with a loop, or longer than ${this.layout.maxChain}`);
      }
      const at = tableAt + index * ring.DESCRIPTOR_SIZE;
      const low = table.getUint32(at, true);
      const high = table.getUint32(at + 4, true);
      const length = table.getUint32(at + 8, true);
      const word = table.getUint32(at + 12, true);
      const flags = word & 0xffff;
      if ((flags & ring.VRING_DESC_F_INDIRECT) !== 0) {
        if (inIndirect) throw new BrokenRingError('nested indirect descriptor');
        table = this.#indirectTable(low, high, length, flags);
        tableAt = this.#indirectAt;
        entries = length / ring.DESCRIPTOR_SIZE;
        inIndirect = true;
        index = 0;
        continue;
      }
      const writable = (flags & ring.VRING_DESC_F_WRITE) !== 0;
      if (writing && !writable) throw new BrokenRingError('device-readable buffer after a device-writable one');
      writing = writable;
      this.#addBuffer(chain, low, high, length, writable);
      if ((flags & ring.VRING_DESC_F_NEXT) === 0) return;
      index = word >>> 16;
      if (index >= entries)
        throw new BrokenRingError(`descriptor index ${index} out of range in a table of ${entries}`);
    }
  }

  /** The view that contains an indirect table, at byte #indirectAt. */
  #indirectTable(low: number, high: number, length: number, flags: number): DataView {
    if (!this.layout.indirect) throw new BrokenRingError('indirect descriptor without RING_INDIRECT_DESC');
    if ((flags & ring.VRING_DESC_F_NEXT) !== 0) throw new BrokenRingError('indirect descriptor with VIRTQ_DESC_F_NEXT');
    const entries = length / ring.DESCRIPTOR_SIZE;
    if (entries === 0 || !Number.isInteger(entries) || entries > this.layout.maxChain) {
      throw new BrokenRingError(`invalid indirect table length: ${length} bytes`);
    }
    const iova = high * 0x1_0000_0000 + low;
    const region = high <= MAX_HIGH_WORD ? this.#memory.find(iova) : undefined;
    if (!region?.readable || iova + length > region.end) return this.#copyTable(high, iova, length);
    this.#indirectAt = iova - region.start;
    return region.data;
  }

  /** The copy of a table that spans regions. */
  #copyTable(high: number, iova: number, length: number): DataView {
    const copy = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const region = high <= MAX_HIGH_WORD ? this.#memory.find(iova + done) : undefined;
      if (!region?.readable) throw new BrokenRingError('indirect table in unmapped memory');
      const offset = iova + done - region.start;
      const take = Math.min(length - done, region.end - (iova + done));
      copy.set(region.u8.subarray(offset, offset + take), done);
      done += take;
    }
    this.#indirectAt = 0;
    return new DataView(copy.buffer);
  }

  #addBuffer(chain: DescriptorChain, low: number, high: number, length: number, writable: boolean): void {
    chain.endWritable = false;
    if (length === 0) {
      chain.fault = 'zero-length buffer';
      return;
    }
    if (high > MAX_HIGH_WORD) {
      chain.fault = 'buffer in unmapped memory';
      return;
    }
    let iova = high * 0x1_0000_0000 + low;
    for (let left = length; left > 0;) {
      const region = this.#memory.find(iova);
      if (region === undefined || !(writable ? region.writable : region.readable)) {
        chain.fault = region ? 'buffer in memory without the required permission' : 'buffer in unmapped memory';
        return;
      }
      const take = Math.min(left, region.end - iova);
      if (!chain.push(region, iova - region.start, take, writable)) {
        chain.fault = `buffers in more than ${chain.capacity} pieces of memory`;
        return;
      }
      iova += take;
      left -= take;
    }
    chain.endWritable = writable;
  }

  /**
   * Fills the next used entry. The driver sees it after {@link publish}.
   * @param head of the chain
   * @param written number of bytes written to its writable part, from the first on
   */
  complete(head: number, written: number): void {
    const at = this.#usedEntriesAt + (this.nextUsed & this.#mask) * 2;
    this.#usedEntries[at] = head;
    this.#usedEntries[at + 1] = written;
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  /** Publishes completed chains to the driver. */
  publish(): void {
    if (this.nextUsed === this.#publishedUsed) return;
    this.#publishedUsed = this.nextUsed;
    Atomics.store(this.#usedWords, this.#usedWordsAt + 1, this.nextUsed);
  }

  /**
   * Whether the driver wants an interrupt for the entries published since the last one. Must be called after each
   * publish().
   */
  needsInterrupt(): boolean {
    const before = this.#interruptedUsed;
    const now = this.#publishedUsed;
    if (before === now) return false;
    this.#interruptedUsed = now;
    if (!this.#eventIndex) {
      return (Atomics.load(this.#available, this.#availableAt) & ring.VRING_AVAIL_F_NO_INTERRUPT) === 0;
    }
    const event = Atomics.load(this.#available, this.#availableAt + 2 + this.#size);
    return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  #storeEvent(index: number): void {
    Atomics.store(this.#usedWords, this.#usedWordsAt + 2 + this.#size * 4, index);
  }

  /** Tells the driver that it need not kick. It may kick nevertheless. */
  disableKicks(): void {
    if (!this.#kicksEnabled) return;
    this.#kicksEnabled = false;
    // With an event index the driver kicks when it passes the index requested last: it has passed this one.
    if (this.#eventIndex) this.#storeEvent((this.nextAvailable - 1) & 0xffff);
    else Atomics.store(this.#usedWords, this.#usedWordsAt, ring.VRING_USED_F_NO_NOTIFY);
  }

  /**
   * Requests a kick of the driver for the next chain.
   * @param beyond only for chains after those already available
   * @returns true if one has arrived in the meantime, for which there may be no kick
   * @throws BrokenRingError
   */
  enableKicks(beyond = false): boolean {
    const seen = beyond ? this.#availableIndex : this.nextAvailable;
    this.#kicksEnabled = true;
    if (this.#eventIndex) this.#storeEvent(seen);
    else Atomics.store(this.#usedWords, this.#usedWordsAt, 0);
    this.pending();
    return this.#availableIndex !== seen;
  }
}
