import { ChainBuilder } from './chain-builder.js';
import type { DescriptorChain } from './descriptor-chain.js';
import type { GuestMemory, RingMemory } from './guest-memory.js';
import type { PackedChains } from './packed-chains.js';
import * as ring from './packed-ring.js';
import { DESCRIPTOR_SIZE, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from './split-ring.js';
import { BrokenRingError, type QueueLayout, type Virtqueue } from './virtqueue.js';

const DESCRIPTOR_WORDS = DESCRIPTOR_SIZE / 4;
/** The flags that describe a buffer. */
const BUFFER_FLAGS = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;

/**
 * The device's side of a packed virtqueue. The head of a chain is its buffer id, which must be below the queue size, as
 * it is with Linux's driver.
 *
 * The ring does not tell how far the device is, nor what is in flight: {@link PackedChains} and {@link nextUsed} do. Used
 * entries are written to the ring when they are published, the first of them last, since the driver reads no entry
 * beyond one that is not used. Whoever continues after a device that ended in between publishes them again, see {@link
 * finish}.
 */
export class PackedQueue implements Virtqueue {
  readonly layout: QueueLayout;
  /** Places in the ring, with the wrap counter in bit 15. */
  nextAvailable: number;
  nextUsed: number;
  published: number;
  completed = 0;

  readonly #builder: ChainBuilder;
  readonly #chains: PackedChains;
  readonly #size: number;
  /** The ring, and its start in each view. */
  readonly #words: Uint32Array;
  readonly #wordsAt: number;
  readonly #flags: Uint16Array;
  readonly #flagsAt: number;
  readonly #driverEvents: Uint32Array;
  readonly #driverEventsAt: number;
  readonly #deviceEvents: Uint32Array;
  readonly #deviceEventsAt: number;
  /** By buffer id: the number of descriptors of a chain that is taken and not published; 0 for none. */
  readonly #taken: Uint16Array;
  /** The descriptors of all of them. */
  #takenDescriptors = 0;
  /** The buffer ids that were taken last, in that order, up to a power of two. */
  readonly #order: Uint16Array;
  #orderEnd = 0;
  /** Slots of #chains that are free: a stack. */
  readonly #free: Uint16Array;
  #freeCount = 0;
  /** Descriptors that were put back. */
  #putBack = 0;
  /** Descriptors published since the last interrupt. */
  #uninterrupted = 0;
  /** A driver that has set up a ring kicks. */
  #kicksEnabled = true;

  /**
   * @param position of the first descriptor to take and of the first used entry, see {@link nextUsed}
   * @param chains for those in flight; {@link resume} continues with them
   * @returns undefined if the ring is not mapped; it may be later
   */
  static map(
    memory: GuestMemory,
    layout: QueueLayout,
    position: number,
    chains: PackedChains,
  ): PackedQueue | undefined {
    const { size, descriptorArea, driverArea, deviceArea } = layout;
    const { descriptorRingBytes, DESCRIPTOR_RING_ALIGNMENT, EVENT_BYTES, EVENT_ALIGNMENT } = ring;
    const descriptors = memory.ring(descriptorArea, descriptorRingBytes(size), DESCRIPTOR_RING_ALIGNMENT, true);
    const driverEvents = memory.ring(driverArea, EVENT_BYTES, EVENT_ALIGNMENT, false);
    const deviceEvents = memory.ring(deviceArea, EVENT_BYTES, EVENT_ALIGNMENT, true);
    if (!descriptors || !driverEvents || !deviceEvents || memory.find(descriptorArea)?.readable !== true) {
      return undefined;
    }
    return new PackedQueue(memory, layout, position, chains, descriptors, driverEvents, deviceEvents);
  }

  private constructor(
    memory: GuestMemory,
    layout: QueueLayout,
    position: number,
    chains: PackedChains,
    descriptors: RingMemory,
    driverEvents: RingMemory,
    deviceEvents: RingMemory,
  ) {
    const { size } = layout;
    this.layout = layout;
    this.#builder = new ChainBuilder(memory, layout);
    this.#chains = chains;
    this.#size = size;
    this.#words = descriptors.u32;
    this.#wordsAt = descriptors.byteOffset >>> 2;
    this.#flags = descriptors.u16;
    this.#flagsAt = (descriptors.byteOffset >>> 1) + 7;
    this.#driverEvents = driverEvents.u32;
    this.#driverEventsAt = driverEvents.byteOffset >>> 2;
    this.#deviceEvents = deviceEvents.u32;
    this.#deviceEventsAt = deviceEvents.byteOffset >>> 2;
    this.#taken = new Uint16Array(size);
    this.#order = new Uint16Array(2 ** Math.ceil(Math.log2(size)));
    this.#free = new Uint16Array(size);
    this.nextAvailable = position;
    this.nextUsed = position;
    this.published = position;
    this.#freeSlots(new Uint8Array(size));
  }

  #freeSlots(used: Uint8Array): void {
    this.#freeCount = 0;
    for (let slot = this.#size - 1; slot >= 0; slot--) if (used[slot] === 0) this.#free[this.#freeCount++] = slot;
  }

  get hasNew(): boolean {
    return this.#isAvailable(this.nextAvailable);
  }

  hasPending(): boolean {
    return this.#isAvailable(this.nextAvailable);
  }

  #isAvailable(position: number): boolean {
    const at = this.#flagsAt + (position & ~ring.WRAP_COUNTER) * 8;
    return ring.isAvailable(Atomics.load(this.#flags, at), (position & ring.WRAP_COUNTER) !== 0);
  }

  take(chain: DescriptorChain): boolean {
    const position = this.nextAvailable;
    const index = position & ~ring.WRAP_COUNTER;
    const flags = Atomics.load(this.#flags, this.#flagsAt + index * 8);
    if (!ring.isAvailable(flags, (position & ring.WRAP_COUNTER) !== 0)) return false;
    const id = this.#copy(index, flags);
    this.read(id, chain);
    const count = this.#taken[id] ?? 0;
    this.nextAvailable = ring.advance(position, count, this.#size);
    this.#putBack = Math.max(0, this.#putBack - count);
    return true;
  }

  /**
   * Copies a chain from the ring, reading each word once.
   * @param headFlags of the first descriptor, as read when it was found to be available
   * @returns its buffer id
   */
  #copy(head: number, headFlags: number): number {
    const words = this.#words;
    const chains = this.#chains;
    let flags = headFlags;
    let index = head;
    let first = 0;
    let last = 0;
    for (let count = 1; ; count++) {
      if (this.#takenDescriptors + count > this.#size) {
        throw new BrokenRingError(`descriptor chain with a loop, or more available than a queue of ${this.#size} has`);
      }
      const at = this.#wordsAt + index * DESCRIPTOR_WORDS;
      const word = words[at + 3] ?? 0;
      if (count > 1) flags = word >>> 16;
      const slot = this.#free[this.#freeCount - count] ?? 0;
      chains.setDescriptor(slot, words[at] ?? 0, words[at + 1] ?? 0, words[at + 2] ?? 0, flags & BUFFER_FLAGS);
      if (count === 1) first = slot;
      else chains.setNext(last, slot);
      last = slot;
      if ((flags & VRING_DESC_F_INDIRECT) !== 0 && count > 1) {
        throw new BrokenRingError('indirect descriptor in a list');
      }
      if ((flags & VRING_DESC_F_NEXT) === 0) {
        const id = word & 0xffff;
        this.#begin(id, first, count);
        return id;
      }
      index = index + 1 === this.#size ? 0 : index + 1;
    }
  }

  /** A chain of `count` slots, from the top of the free ones, is taken. */
  #begin(id: number, first: number, count: number): void {
    if (id >= this.#size) throw new BrokenRingError(`buffer id ${id} out of range in a queue of ${this.#size}`);
    if (this.#taken[id] !== 0) throw new BrokenRingError(`buffer id ${id} is in flight already`);
    this.#chains.setChain(id, first, count);
    this.#freeCount -= count;
    this.#takenDescriptors += count;
    this.#taken[id] = count;
    this.#order[this.#orderEnd++ & (this.#order.length - 1)] = id;
  }

  read(id: number, chain: DescriptorChain): void {
    const chains = this.#chains;
    const builder = this.#builder;
    builder.begin(chain, id);
    let slot = chains.first(id);
    for (let left = chains.count(id); left > 0; left--) {
      const flags = chains.flags(slot);
      if ((flags & VRING_DESC_F_INDIRECT) === 0) {
        const writable = (flags & VRING_DESC_F_WRITE) !== 0;
        builder.add(chain, chains.low(slot), chains.high(slot), chains.length(slot), writable);
      } else {
        this.#readTable(chain, chains.low(slot), chains.high(slot), chains.length(slot), flags);
      }
      if (left > 1) slot = chains.next(slot);
    }
  }

  /** An indirect table is not a list: all of its descriptors count, in their order. */
  #readTable(chain: DescriptorChain, low: number, high: number, length: number, flags: number): void {
    const builder = this.#builder;
    const table = builder.indirectTable(low, high, length, flags);
    const end = builder.tableAt + length;
    for (let at = builder.tableAt; at < end; at += DESCRIPTOR_SIZE) {
      const entryFlags = table.getUint16(at + 14, true);
      if ((entryFlags & VRING_DESC_F_INDIRECT) !== 0) throw new BrokenRingError('nested indirect descriptor');
      builder.add(
        chain,
        table.getUint32(at, true),
        table.getUint32(at + 4, true),
        table.getUint32(at + 8, true),
        (entryFlags & VRING_DESC_F_WRITE) !== 0,
      );
    }
  }

  putBack(count: number): void {
    for (let each = 0; each < count; each++) {
      const id = this.#order[--this.#orderEnd & (this.#order.length - 1)] ?? 0;
      const descriptors = this.#taken[id] ?? 0;
      this.#release(id);
      this.nextAvailable = ring.goBack(this.nextAvailable, descriptors, this.#size);
      this.#putBack += descriptors;
    }
  }

  /** A chain is not taken any longer. */
  #release(id: number): void {
    const count = this.#taken[id] ?? 0;
    let slot = this.#chains.first(id);
    for (let left = count; left > 0; left--) {
      this.#free[this.#freeCount++] = slot;
      if (left > 1) slot = this.#chains.next(slot);
    }
    this.#taken[id] = 0;
    this.#takenDescriptors -= count;
  }

  resume(heads: readonly number[]): void {
    const chains = this.#chains;
    const used = new Uint8Array(this.#size);
    for (const id of heads) {
      const count = chains.count(id);
      let slot = chains.first(id);
      for (let left = count; left > 0; left--) {
        if (slot >= this.#size || used[slot] !== 0)
          throw new BrokenRingError('the log of requests in flight is damaged');
        used[slot] = 1;
        if (left > 1) slot = chains.next(slot);
      }
      this.#taken[id] = count;
      this.#takenDescriptors += count;
      this.nextAvailable = ring.advance(this.nextAvailable, count, this.#size);
    }
    this.#freeSlots(used);
  }

  /**
   * Publishes the chains whose publication a device has begun, unless it has ended it: must be called before {@link
   * resume}. The driver has seen none of them or all: it waits for the first entry, which is written last.
   * @param count number of these chains, the first ones that are completed in {@link PackedChains}
   * @throws BrokenRingError
   */
  finish(count: number): void {
    for (; this.completed < count; this.completed++) {
      const id = this.#chains.completed(this.completed);
      this.nextUsed = ring.advance(this.nextUsed, this.#chains.count(id), this.#size);
    }
    if (count > 0 && !this.#isUsed(this.published)) this.#writeUsed();
    this.nextAvailable = this.nextUsed;
    this.published = this.nextUsed;
    this.completed = 0;
  }

  /**
   * Whether a used entry was written here in this lap. The driver may have reused it since for the next lap, which
   * leaves this flag as it is.
   */
  #isUsed(position: number): boolean {
    const flags = Atomics.load(this.#flags, this.#flagsAt + (position & ~ring.WRAP_COUNTER) * 8);
    return ((flags & ring.DESC_F_USED) !== 0) === ((position & ring.WRAP_COUNTER) !== 0);
  }

  complete(id: number, written: number): void {
    if (this.completed === 0 && this.#isUsed(this.published)) this.#markUnused();
    this.#chains.complete(this.completed++, id, written);
    this.nextUsed = ring.advance(this.nextUsed, this.#taken[id] ?? 0, this.#size);
  }

  /** The driver has left flags of the last lap in the middle of a list: finish() must not take them for ours. */
  #markUnused(): void {
    const wrap = (this.published & ring.WRAP_COUNTER) !== 0;
    const at = this.#flagsAt + (this.published & ~ring.WRAP_COUNTER) * 8;
    Atomics.store(this.#flags, at, ring.availableFlags(wrap));
  }

  publish(): void {
    if (this.completed === 0) return;
    this.#writeUsed();
    for (let place = 0; place < this.completed; place++) {
      const id = this.#chains.completed(place);
      this.#uninterrupted += this.#taken[id] ?? 0;
      this.#release(id);
    }
    this.published = this.nextUsed;
    this.completed = 0;
  }

  /** Writes the used entries of completed chains, the first one last. */
  #writeUsed(): void {
    const chains = this.#chains;
    const words = this.#words;
    const firstId = chains.completed(0);
    let position = ring.advance(this.published, chains.count(firstId), this.#size);
    for (let place = 1; place < this.completed; place++) {
      const id = chains.completed(place);
      const at = this.#entry(position);
      words[at + 2] = chains.written(id);
      words[at + 3] = this.#usedWord(position, id);
      position = ring.advance(position, chains.count(id), this.#size);
    }
    const at = this.#entry(this.published);
    words[at + 2] = chains.written(firstId);
    Atomics.store(words, at + 3, this.#usedWord(this.published, firstId));
  }

  /** The index of an entry in #words. */
  #entry(position: number): number {
    return this.#wordsAt + (position & ~ring.WRAP_COUNTER) * DESCRIPTOR_WORDS;
  }

  /** Buffer id and flags of a used entry. */
  #usedWord(position: number, id: number): number {
    const writable = this.#chains.written(id) > 0 ? VRING_DESC_F_WRITE : 0;
    return id | ((ring.usedFlags((position & ring.WRAP_COUNTER) !== 0) | writable) << 16);
  }

  needsInterrupt(): boolean {
    const count = this.#uninterrupted;
    if (count === 0) return false;
    this.#uninterrupted = 0;
    const events = Atomics.load(this.#driverEvents, this.#driverEventsAt);
    const flags = (events >>> 16) & ring.EVENT_FLAGS;
    if (flags === ring.VRING_PACKED_EVENT_FLAG_DISABLE) return false;
    if (flags !== ring.VRING_PACKED_EVENT_FLAG_DESC || !this.layout.eventIndex) return true;
    // The place that the driver waits for is in the same lap, or in the one before.
    const isSameLap = ((events ^ this.published) & ring.WRAP_COUNTER) === 0;
    const event = (events & 0x7fff) - (isSameLap ? 0 : this.#size);
    return (((this.published & 0x7fff) - event - 1) & 0xffff) < count;
  }

  disableKicks(): void {
    if (!this.#kicksEnabled) return;
    this.#kicksEnabled = false;
    this.#storeEvents(ring.VRING_PACKED_EVENT_FLAG_DISABLE, 0);
  }

  enableKicks(beyond = false): boolean {
    const seen = beyond ? ring.advance(this.nextAvailable, this.#putBack, this.#size) : this.nextAvailable;
    this.#kicksEnabled = true;
    if (this.layout.eventIndex) this.#storeEvents(ring.VRING_PACKED_EVENT_FLAG_DESC, seen);
    else this.#storeEvents(ring.VRING_PACKED_EVENT_FLAG_ENABLE, 0);
    return this.#isAvailable(seen);
  }

  #storeEvents(flags: number, offWrap: number): void {
    Atomics.store(this.#deviceEvents, this.#deviceEventsAt, offWrap | (flags << 16));
  }
}
