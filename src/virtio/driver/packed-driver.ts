import {
  advance,
  availableFlags,
  DESC_F_AVAIL,
  DESC_F_USED,
  descriptorRingBytes,
  EVENT_BYTES,
  usedFlags,
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
  WRAP_COUNTER,
} from '../packed-ring.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../split-ring.js';
import {
  UsedRingError,
  writeAddress,
  type Buffer,
  type RingDriver,
  type UsedChain,
  type UsedSlot,
} from './ring-driver.js';

/** The flags that tell the lap of a descriptor. */
const LAP_FLAGS = DESC_F_AVAIL | DESC_F_USED;

/** A descriptor as it is written to the ring, apart from the flags of the lap. */
export interface PackedDescriptor {
  readonly iova: number | bigint;
  readonly length: number;
  readonly id: number;
  readonly flags: number;
}

/** The driver's side of a packed virtqueue, written to memory by hand, correctly or not. */
export class PackedDriver implements RingDriver {
  readonly packed = true;
  readonly size: number;
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  readonly #view: DataView;
  readonly #words: Uint16Array;
  readonly #pairs: Uint32Array;
  readonly #base: number;
  /** Chains that can be offered. */
  readonly #chains = new Map<number, readonly PackedDescriptor[]>();
  /** By buffer id, the number of descriptors of the chain in flight; 0 for none. */
  readonly #inFlight = new Uint16Array(2 ** 16);
  /** Used entries that were read and not collected. */
  readonly #answers: UsedChain[] = [];
  readonly #entry: UsedSlot = { head: 0, written: 0 };
  #nextId: number;
  /** Places in the ring, with the wrap counter in bit 15. */
  nextAvailable: number;
  nextUsed: number;
  availableIndex = 0;
  /** A driver that writes nonsense gets nonsense back. */
  isHostile = false;
  #answered = 0;
  /** Descriptors that were made available since needsKick was called. */
  #added = 0;

  /** The number of bytes that a queue of `size` occupies. */
  static bytes(size: number): number {
    return descriptorRingBytes(size) + EVENT_BYTES * 2;
  }

  /** The place in a ring after so many descriptors. */
  static place(descriptors: number, size: number): number {
    const isOdd = Math.floor(descriptors / size) % 2 === 1;
    return (descriptors % size) | (isOdd ? 0 : WRAP_COUNTER);
  }

  /**
   * @param buffer memory that the device sees at IOVA `base`
   * @param iova of the ring in it
   * @param start number of descriptors that were used before
   */
  constructor(buffer: ArrayBuffer, base: number, iova: number, size: number, start = 0) {
    this.#view = new DataView(buffer);
    this.#words = new Uint16Array(buffer);
    this.#pairs = new Uint32Array(buffer);
    this.#base = base;
    this.size = size;
    this.descriptorArea = iova;
    this.driverArea = iova + descriptorRingBytes(size);
    this.deviceArea = this.driverArea + EVENT_BYTES;
    this.nextAvailable = PackedDriver.place(start, size);
    this.nextUsed = this.nextAvailable;
    this.#nextId = start % size;
    // What the laps before have left.
    const wrap = (this.nextAvailable & WRAP_COUNTER) !== 0;
    for (let index = 0; index < size; index++) {
      this.setFlags(index, usedFlags(index < (this.nextAvailable & ~WRAP_COUNTER) ? wrap : !wrap));
    }
  }

  #at(index: number): number {
    return this.descriptorArea - this.#base + index * 16;
  }

  setFlags(index: number, flags: number): void {
    Atomics.store(this.#words, (this.#at(index) + 14) / 2, flags);
  }

  flags(index: number): number {
    return Atomics.load(this.#words, (this.#at(index) + 14) / 2);
  }

  /** Writes one descriptor of the ring, or of an indirect table at `table`, without its flags. */
  #write(index: number, { iova, length, id }: PackedDescriptor, table = this.descriptorArea): number {
    const at = table - this.#base + index * 16;
    writeAddress(this.#view, at, iova);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, id, true);
    return at;
  }

  /** Writes one descriptor of an indirect table. */
  tableEntry(index: number, descriptor: PackedDescriptor, table: number): void {
    this.#view.setUint16(this.#write(index, descriptor, table) + 14, descriptor.flags, true);
  }

  chain(buffers: readonly Buffer[]): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + buffers.length) % this.size;
    this.chainAt(id, buffers);
    return id;
  }

  chainAt(id: number, buffers: readonly Buffer[]): void {
    const descriptors = buffers.map(({ iova, length, writable = false }, place) => {
      const next = place < buffers.length - 1 ? VRING_DESC_F_NEXT : 0;
      return { iova, length, id, flags: (writable ? VRING_DESC_F_WRITE : 0) | next };
    });
    this.#chains.set(id, descriptors);
  }

  indirectChain(buffers: readonly Buffer[], table: number): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) % this.size;
    this.indirectChainAt(id, buffers, table);
    return id;
  }

  indirectChainAt(id: number, buffers: readonly Buffer[], table: number): void {
    buffers.forEach(({ iova, length, writable = false }, index) => {
      this.tableEntry(index, { iova, length, id: 0, flags: writable ? VRING_DESC_F_WRITE : 0 }, table);
    });
    this.#chains.set(id, [{ iova: table, length: buffers.length * 16, id, flags: VRING_DESC_F_INDIRECT }]);
  }

  offer(head: number): void {
    this.write(this.#chains.get(head) ?? [{ iova: 0, length: 0, id: head, flags: 0 }]);
    this.availableIndex = (this.availableIndex + 1) & 0xffff;
  }

  /** Makes descriptors available, the first one last. @param marked whether the others have the flags of the lap */
  write(descriptors: readonly PackedDescriptor[], marked = true): void {
    this.#readUsed();
    const first = this.nextAvailable;
    const [head] = descriptors;
    let last = head;
    for (const descriptor of descriptors) {
      const position = this.nextAvailable;
      const index = position & ~WRAP_COUNTER;
      this.#write(index, descriptor);
      if (descriptor !== head) {
        const lap = marked ? availableFlags((position & WRAP_COUNTER) !== 0) : this.flags(index) & LAP_FLAGS;
        this.setFlags(index, descriptor.flags | lap);
      }
      this.nextAvailable = advance(position, 1, this.size);
      this.#added++;
      last = descriptor;
    }
    if (head === undefined || last === undefined) return;
    this.#inFlight[last.id] = descriptors.length;
    this.setFlags(first & ~WRAP_COUNTER, head.flags | availableFlags((first & WRAP_COUNTER) !== 0));
  }

  /** Reads the used entries that the device has published since the last time. */
  #readUsed(): void {
    while (this.#readInto(this.#entry)) this.#answers.push({ ...this.#entry });
  }

  /** Reads the next used entry. @returns false if there is none */
  #readInto(used: UsedSlot): boolean {
    const index = this.nextUsed & ~WRAP_COUNTER;
    const expected = usedFlags((this.nextUsed & WRAP_COUNTER) !== 0);
    const flags = this.flags(index);
    if ((flags & LAP_FLAGS) !== expected) return false;
    const head = this.#view.getUint16(this.#at(index) + 12, true);
    const count = this.#inFlight[head] ?? 0;
    if (count === 0 && !this.isHostile) throw new UsedRingError(`buffer id ${head} was used, not in flight`);
    used.head = head;
    used.written = (flags & VRING_DESC_F_WRITE) === 0 ? 0 : this.#view.getUint32(this.#at(index) + 8, true);
    this.#inFlight[head] = 0;
    this.nextUsed = advance(this.nextUsed, Math.max(1, count), this.size);
    this.#answered = (this.#answered + 1) & 0xffff;
    return true;
  }

  get usedIndex(): number {
    this.#readUsed();
    return this.#answered;
  }

  get base(): number {
    this.#readUsed();
    return (this.nextUsed | (this.nextUsed << 16)) >>> 0;
  }

  collect(): UsedChain | undefined {
    this.#readUsed();
    return this.#answers.shift();
  }

  collectInto(used: UsedSlot): boolean {
    const answer = this.#answers.shift();
    if (answer === undefined) return this.#readInto(used);
    used.head = answer.head;
    used.written = answer.written;
    return true;
  }

  #setEvents(flags: number, offWrap: number): void {
    Atomics.store(this.#pairs, (this.driverArea - this.#base) / 4, offWrap | (flags << 16));
  }

  needsKick(): boolean {
    const { flags, offWrap } = this.deviceEvents;
    const added = this.#added;
    this.#added = 0;
    if (flags !== VRING_PACKED_EVENT_FLAG_DESC) return flags !== VRING_PACKED_EVENT_FLAG_DISABLE;
    const isSameLap = ((offWrap ^ this.nextAvailable) & WRAP_COUNTER) === 0;
    const event = (offWrap & 0x7fff) - (isSameLap ? 0 : this.size);
    return (((this.nextAvailable & 0x7fff) - event - 1) & 0xffff) < added;
  }

  suppressInterrupts(): void {
    this.#setEvents(VRING_PACKED_EVENT_FLAG_DISABLE, 0);
  }

  allowInterrupts(): void {
    this.#setEvents(VRING_PACKED_EVENT_FLAG_ENABLE, 0);
  }

  waitFor(count: number): void {
    this.waitAt(advance(this.nextUsed, count - 1, this.size));
  }

  /** Wants an interrupt when the descriptor at a place is used. */
  waitAt(position: number): void {
    this.#setEvents(VRING_PACKED_EVENT_FLAG_DESC, position);
  }

  /** The event suppression structure of the device. */
  get deviceEvents(): { readonly flags: number; readonly offWrap: number } {
    const word = Atomics.load(this.#pairs, (this.deviceArea - this.#base) / 4);
    return { flags: word >>> 16, offWrap: word & 0xffff };
  }

  get suppressesKicks(): boolean {
    return this.deviceEvents.flags === VRING_PACKED_EVENT_FLAG_DISABLE;
  }
}
