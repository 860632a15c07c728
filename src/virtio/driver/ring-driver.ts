/** One buffer of a request. */
export interface Buffer {
  readonly iova: number | bigint;
  readonly length: number;
  readonly writable?: boolean;
}

/** The device has published a used entry that nothing was made available for. */
export class UsedRingError extends Error {
  override readonly name = 'UsedRingError';
}

/** A chain that the device has completed: its head, or buffer id, and the number of bytes that it says it has written. */
export interface UsedChain {
  readonly head: number;
  readonly written: number;
}

/** Where {@link RingDriver.collectInto} writes a {@link UsedChain}. */
export interface UsedSlot {
  head: number;
  written: number;
}

/** The driver's side of a virtqueue of any form, written to memory by hand. */
export interface RingDriver {
  readonly packed: boolean;
  readonly size: number;
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  /** Number of chains that were made available, and of those that the device has published; both wrap at 65536. */
  readonly availableIndex: number;
  readonly usedIndex: number;
  /** Where the device begins or has stopped, as for VHOST_SET_VRING_BASE and VHOST_GET_VRING_BASE. */
  readonly base: number;
  /** Whether the device has said that it needs no kicks. */
  readonly suppressesKicks: boolean;

  /** Makes a chain of the next free descriptors and returns its head, without making it available. */
  chain(buffers: readonly Buffer[]): number;
  /** The same with a certain head: the chain takes the descriptors from there on. */
  chainAt(head: number, buffers: readonly Buffer[]): void;
  /** The same through an indirect table at `table`. */
  indirectChain(buffers: readonly Buffer[], table: number): number;
  indirectChainAt(head: number, buffers: readonly Buffer[], table: number): void;
  /** Makes a chain available. */
  offer(head: number): void;
  /** The next chain that the device has completed, or undefined. */
  collect(): UsedChain | undefined;
  /** The same for a loop that must not allocate: fills in `used`. @returns false if there is none */
  collectInto(used: UsedSlot): boolean;
  /** With an event index: whether the device wants a kick for the chains that were offered since the last call. */
  needsKick(): boolean;
  /** Suppresses interrupts. */
  suppressInterrupts(): void;
  /** Wants an interrupt for each completion. Without an event index. */
  allowInterrupts(): void;
  /**
   * Wants an interrupt after this many chains more than have been collected, which have one descriptor each. With an
   * event index.
   */
  waitFor(count: number): void;
}

/** Writes the address of a descriptor. A BigInt takes as long as all the rest of a request: benchmarks use none. */
export function writeAddress(view: DataView, at: number, iova: number | bigint): void {
  if (typeof iova === 'bigint') {
    view.setBigUint64(at, BigInt.asUintN(64, iova), true);
    return;
  }
  view.setUint32(at, iova >>> 0, true);
  view.setUint32(at + 4, Math.floor(iova / 0x1_0000_0000), true);
}
