import { ChainBuilder } from './chain-builder.js';
import type { DescriptorChain } from './descriptor-chain.js';
import type { GuestMemory, RingMemory } from './guest-memory.js';
import * as ring from './split-ring.js';
import { BrokenRingError, type QueueLayout, type Virtqueue } from './virtqueue.js';

/**
 * The device's side of a split virtqueue.
 *
 * If chains are completed in the order in which they were taken, the used index alone tells where to continue after the
 * device was stopped at any moment.
 */
export class SplitQueue implements Virtqueue {
  readonly layout: QueueLayout;
  /** The next available entry to take, and the next used entry to fill; both wrap from 65535 to 0. */
  nextAvailable: number;
  nextUsed: number;

  readonly #builder: ChainBuilder;
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
  /** A driver that has set up a ring kicks. */
  #kicksEnabled = true;

  /**
   * @param nextAvailable the first available entry to take; undefined to continue at the end of the used ring
   * @returns undefined if the rings are not mapped; they may be later
   */
  static map(memory: GuestMemory, layout: QueueLayout, nextAvailable: number | undefined): SplitQueue | undefined {
    const { size, descriptorArea, driverArea, deviceArea } = layout;
    const table = memory.ring(descriptorArea, ring.descriptorTableBytes(size), ring.DESCRIPTOR_TABLE_ALIGNMENT, false);
    const available = memory.ring(driverArea, ring.availableRingBytes(size), ring.AVAILABLE_RING_ALIGNMENT, false);
    const used = memory.ring(deviceArea, ring.usedRingBytes(size), ring.USED_RING_ALIGNMENT, true);
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
    this.#builder = new ChainBuilder(memory, layout);
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

  get published(): number {
    return this.#publishedUsed;
  }

  get completed(): number {
    return (this.nextUsed - this.#publishedUsed) & 0xffff;
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

  hasPending(): boolean {
    return this.pending() > 0;
  }

  take(chain: DescriptorChain): boolean {
    if (this.nextAvailable === this.#availableIndex && this.pending() === 0) return false;
    const head = this.#available[this.#availableAt + 2 + (this.nextAvailable & this.#mask)] ?? 0;
    this.read(head, chain);
    this.nextAvailable = (this.nextAvailable + 1) & 0xffff;
    return true;
  }

  read(head: number, chain: DescriptorChain): void {
    if (head >= this.#size)
      throw new BrokenRingError(`descriptor index ${head} out of range in a queue of ${this.#size}`);
    this.#builder.begin(chain, head);
    this.#walk(head, chain);
  }

  putBack(count: number): void {
    this.nextAvailable = (this.nextAvailable - count) & 0xffff;
  }

  resume(heads: readonly number[]): void {
    this.nextAvailable = (this.nextAvailable + heads.length) & 0xffff;
    this.#availableIndex = this.nextAvailable;
  }

  #walk(head: number, chain: DescriptorChain): void {
    const builder = this.#builder;
    let table = this.#descriptors;
    let tableAt = this.#descriptorsAt;
    let entries = this.#size;
    let inIndirect = false;
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
        table = builder.indirectTable(low, high, length, flags);
        tableAt = builder.tableAt;
        entries = length / ring.DESCRIPTOR_SIZE;
        inIndirect = true;
        index = 0;
        continue;
      }
      builder.add(chain, low, high, length, (flags & ring.VRING_DESC_F_WRITE) !== 0);
      if ((flags & ring.VRING_DESC_F_NEXT) === 0) return;
      index = word >>> 16;
      if (index >= entries)
        throw new BrokenRingError(`descriptor index ${index} out of range in a table of ${entries}`);
    }
  }

  complete(head: number, written: number): void {
    const at = this.#usedEntriesAt + (this.nextUsed & this.#mask) * 2;
    this.#usedEntries[at] = head;
    this.#usedEntries[at + 1] = written;
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  publish(): void {
    if (this.nextUsed === this.#publishedUsed) return;
    this.#publishedUsed = this.nextUsed;
    Atomics.store(this.#usedWords, this.#usedWordsAt + 1, this.nextUsed);
  }

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

  disableKicks(): void {
    if (!this.#kicksEnabled) return;
    this.#kicksEnabled = false;
    // With an event index the driver kicks when it passes the index requested last: it has passed this one.
    if (this.#eventIndex) this.#storeEvent((this.nextAvailable - 1) & 0xffff);
    else Atomics.store(this.#usedWords, this.#usedWordsAt, ring.VRING_USED_F_NO_NOTIFY);
  }

  enableKicks(beyond = false): boolean {
    const seen = beyond ? this.#availableIndex : this.nextAvailable;
    this.#kicksEnabled = true;
    if (this.#eventIndex) this.#storeEvent(seen);
    else Atomics.store(this.#usedWords, this.#usedWordsAt, 0);
    this.pending();
    return this.#availableIndex !== seen;
  }
}
