import {
  availableRingBytes,
  descriptorTableBytes,
  usedRingBytes,
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_USED_F_NO_NOTIFY,
} from '../split-ring.js';
import { writeAddress, type Buffer, type RingDriver, type UsedChain, type UsedSlot } from './ring-driver.js';

/** The driver's side of a split virtqueue, written to memory by hand, correctly or not. */
export class SplitDriver implements RingDriver {
  readonly packed = false;
  readonly size: number;
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  readonly #view: DataView;
  readonly #words: Uint16Array;
  readonly #base: number;
  #nextDescriptor = 0;
  availableIndex = 0;
  seenUsed = 0;
  #kicked = 0;

  /** The number of bytes that a queue of `size` occupies. */
  static bytes(size: number): number {
    return descriptorTableBytes(size) + align(availableRingBytes(size), 4) + align(usedRingBytes(size), 16);
  }

  /**
   * @param buffer memory that the device sees at IOVA `base`
   * @param iova of the rings in it
   */
  constructor(buffer: ArrayBuffer, base: number, iova: number, size: number) {
    this.#view = new DataView(buffer);
    this.#words = new Uint16Array(buffer);
    this.#base = base;
    this.size = size;
    this.descriptorArea = iova;
    this.driverArea = iova + descriptorTableBytes(size);
    this.deviceArea = this.driverArea + align(availableRingBytes(size), 4);
  }

  /** Writes one descriptor of the table, or of an indirect table at `table`. */
  descriptor(
    index: number,
    iova: number | bigint,
    length: number,
    flags: number,
    next = 0,
    table = this.descriptorArea,
  ): void {
    const at = table - this.#base + index * 16;
    writeAddress(this.#view, at, iova);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, flags, true);
    this.#view.setUint16(at + 14, next, true);
  }

  chain(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor % this.size;
    this.#nextDescriptor += buffers.length;
    this.chainAt(head, buffers);
    return head;
  }

  chainAt(head: number, buffers: readonly Buffer[]): void {
    buffers.forEach((buffer, position) => {
      const last = position === buffers.length - 1;
      const index = (head + position) % this.size;
      const flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      this.descriptor(index, buffer.iova, buffer.length, flags, last ? 0 : (index + 1) % this.size);
    });
  }

  indirectChain(buffers: readonly Buffer[], table: number): number {
    const head = this.#nextDescriptor++ % this.size;
    this.indirectChainAt(head, buffers, table);
    return head;
  }

  indirectChainAt(head: number, buffers: readonly Buffer[], table: number): void {
    buffers.forEach((buffer, index) => {
      const last = index === buffers.length - 1;
      const flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      this.descriptor(index, buffer.iova, buffer.length, flags, last ? 0 : index + 1, table);
    });
    this.descriptor(head, table, buffers.length * 16, VRING_DESC_F_INDIRECT);
  }

  offer(head: number): void {
    this.#view.setUint16(this.driverArea - this.#base + 4 + (this.availableIndex % this.size) * 2, head, true);
    this.setAvailableIndex(this.availableIndex + 1);
  }

  setAvailableIndex(index: number): void {
    this.availableIndex = index & 0xffff;
    Atomics.store(this.#words, (this.driverArea - this.#base + 2) / 2, this.availableIndex);
  }

  set availableFlags(flags: number) {
    Atomics.store(this.#words, (this.driverArea - this.#base) / 2, flags);
  }

  needsKick(): boolean {
    const { availableIndex, availableEvent } = this;
    const added = (availableIndex - this.#kicked) & 0xffff;
    this.#kicked = availableIndex;
    return ((availableIndex - availableEvent - 1) & 0xffff) < added;
  }

  suppressInterrupts(): void {
    this.availableFlags = VRING_AVAIL_F_NO_INTERRUPT;
  }

  allowInterrupts(): void {
    this.availableFlags = 0;
  }

  waitFor(count: number): void {
    this.usedEvent = this.seenUsed + count - 1;
  }

  get suppressesKicks(): boolean {
    return this.usedFlags === VRING_USED_F_NO_NOTIFY;
  }

  set usedEvent(index: number) {
    Atomics.store(this.#words, (this.driverArea - this.#base) / 2 + 2 + this.size, index);
  }

  get usedIndex(): number {
    return Atomics.load(this.#words, (this.deviceArea - this.#base + 2) / 2);
  }

  set usedIndex(index: number) {
    Atomics.store(this.#words, (this.deviceArea - this.#base + 2) / 2, index);
  }

  get base(): number {
    return this.usedIndex;
  }

  get usedFlags(): number {
    return Atomics.load(this.#words, (this.deviceArea - this.#base) / 2);
  }

  /** The available index at which the device wants a kick. */
  get availableEvent(): number {
    return Atomics.load(this.#words, (this.deviceArea - this.#base + 4 + this.size * 8) / 2);
  }

  collect(): UsedChain | undefined {
    const used = { head: 0, written: 0 };
    return this.collectInto(used) ? used : undefined;
  }

  collectInto(used: UsedSlot): boolean {
    if (this.usedIndex === this.seenUsed) return false;
    const at = this.deviceArea - this.#base + 4 + (this.seenUsed % this.size) * 8;
    this.seenUsed = (this.seenUsed + 1) & 0xffff;
    used.head = this.#view.getUint32(at, true);
    used.written = this.#view.getUint32(at + 4, true);
    return true;
  }
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
