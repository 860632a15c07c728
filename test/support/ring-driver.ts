import {
  availableRingBytes,
  descriptorTableBytes,
  usedRingBytes,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from '../../src/virtio/ring.js';

/** One buffer of a request. */
export interface Buffer {
  readonly iova: number | bigint;
  readonly length: number;
  readonly writable?: boolean;
}

/** The driver's side of a split virtqueue, written to memory by hand, correctly or not. */
export class RingDriver {
  readonly size: number;
  readonly descriptorTable: number;
  readonly availableRing: number;
  readonly usedRing: number;
  readonly #view: DataView;
  readonly #words: Uint16Array;
  readonly #base: number;
  #nextDescriptor = 0;
  availableIndex = 0;
  seenUsed = 0;

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
    this.descriptorTable = iova;
    this.availableRing = iova + descriptorTableBytes(size);
    this.usedRing = this.availableRing + align(availableRingBytes(size), 4);
  }

  /** Writes one descriptor of the table, or of an indirect table at `table`. */
  descriptor(
    index: number,
    iova: number | bigint,
    length: number,
    flags: number,
    next = 0,
    table = this.descriptorTable,
  ): void {
    const at = table - this.#base + index * 16;
    this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(iova)), true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, flags, true);
    this.#view.setUint16(at + 14, next, true);
  }

  /** Writes a chain to the next free descriptors and returns its head, without making it available. */
  chain(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor % this.size;
    buffers.forEach((buffer, position) => {
      const last = position === buffers.length - 1;
      const index = this.#nextDescriptor++ % this.size;
      const flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      this.descriptor(index, buffer.iova, buffer.length, flags, last ? 0 : this.#nextDescriptor % this.size);
    });
    return head;
  }

  /** The same through an indirect table at `table`. */
  indirectChain(buffers: readonly Buffer[], table: number): number {
    buffers.forEach((buffer, index) => {
      const last = index === buffers.length - 1;
      const flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      this.descriptor(index, buffer.iova, buffer.length, flags, last ? 0 : index + 1, table);
    });
    const head = this.#nextDescriptor++ % this.size;
    this.descriptor(head, table, buffers.length * 16, VRING_DESC_F_INDIRECT);
    return head;
  }

  /** Makes a chain available. */
  offer(head: number): void {
    this.#view.setUint16(this.availableRing - this.#base + 4 + (this.availableIndex % this.size) * 2, head, true);
    this.setAvailableIndex(this.availableIndex + 1);
  }

  setAvailableIndex(index: number): void {
    this.availableIndex = index & 0xffff;
    Atomics.store(this.#words, (this.availableRing - this.#base + 2) / 2, this.availableIndex);
  }

  set availableFlags(flags: number) {
    Atomics.store(this.#words, (this.availableRing - this.#base) / 2, flags);
  }

  set usedEvent(index: number) {
    Atomics.store(this.#words, (this.availableRing - this.#base) / 2 + 2 + this.size, index);
  }

  get usedIndex(): number {
    return Atomics.load(this.#words, (this.usedRing - this.#base + 2) / 2);
  }

  set usedIndex(index: number) {
    Atomics.store(this.#words, (this.usedRing - this.#base + 2) / 2, index);
  }

  get usedFlags(): number {
    return Atomics.load(this.#words, (this.usedRing - this.#base) / 2);
  }

  /** The available index at which the device wants a kick. */
  get availableEvent(): number {
    return Atomics.load(this.#words, (this.usedRing - this.#base + 4 + this.size * 8) / 2);
  }

  /** The next chain that the device has completed, or undefined. */
  collect(): { head: number; written: number } | undefined {
    if (this.usedIndex === this.seenUsed) return undefined;
    const at = this.usedRing - this.#base + 4 + (this.seenUsed % this.size) * 8;
    this.seenUsed = (this.seenUsed + 1) & 0xffff;
    return { head: this.#view.getUint32(at, true), written: this.#view.getUint32(at + 4, true) };
  }
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
