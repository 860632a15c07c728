import type { DescriptorChain } from './descriptor-chain.js';

/** The driver has violated the rules of a ring, so that its contents are unreliable until the device is reset. */
export class BrokenRingError extends Error {
  override readonly name = 'BrokenRingError';
}

/** The addresses of a queue and the negotiated features. */
export interface QueueLayout {
  /** VIRTIO_F_RING_PACKED: the form of the queue. */
  readonly packed: boolean;
  /** Number of descriptors, at most 32768; a power of two if the queue is split. */
  readonly size: number;
  /**
   * IOVAs. A split queue has its descriptor table, available ring and used ring there, a packed one its ring and the
   * event suppression structures of the driver and of the device.
   */
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  /** VIRTIO_RING_F_EVENT_IDX and VIRTIO_RING_F_INDIRECT_DESC. */
  readonly eventIndex: boolean;
  readonly indirect: boolean;
  /**
   * Maximum length of a chain: the queue size that the device offers, which a driver may use even if it made the queue
   * shorter.
   */
  readonly maxChain: number;
}

/**
 * The device's side of a virtqueue, split or packed. It handles rings independent of the type of device: it takes
 * chains and returns used entries.
 *
 * The driver is not trusted. Each index, flag and length is read once and checked before it is used; violations of the
 * ring throw {@link BrokenRingError}, faulty buffers of a chain are recorded in the chain.
 */
export interface Virtqueue {
  readonly layout: QueueLayout;
  /**
   * The next used entry to fill: of a split queue its index, which wraps from 65535 to 0; of a packed queue its place
   * in the ring, with the wrap counter in bit 15.
   */
  readonly nextUsed: number;
  /** The first used entry that {@link publish} has not published yet, in the same form. */
  readonly published: number;
  /** Number of chains completed and not published. */
  readonly completed: number;
  /** Whether there may be a chain to take; nothing is checked. */
  readonly hasNew: boolean;

  /** Whether there is a chain to take. @throws BrokenRingError */
  hasPending(): boolean;

  /**
   * Takes the next chain.
   * @returns false if there is none
   * @throws BrokenRingError
   */
  take(chain: DescriptorChain): boolean;

  /** Puts back the last `count` chains that were taken but not completed. */
  putBack(count: number): void;

  /**
   * Continues where another device, or this one, has stopped with chains in flight: they can be read, and completed, and
   * are not taken again. Must be called before a chain is taken.
   * @param heads of the chains
   * @throws BrokenRingError
   */
  resume(heads: readonly number[]): void;

  /** Reads a chain in flight. @throws BrokenRingError */
  read(head: number, chain: DescriptorChain): void;

  /**
   * Fills the next used entry. The driver sees it after {@link publish}.
   * @param head of the chain
   * @param written number of bytes written to its writable part, from the first on
   */
  complete(head: number, written: number): void;

  /** Publishes completed chains to the driver, all at once. */
  publish(): void;

  /**
   * Whether the driver wants an interrupt for the entries published since the last one. Must be called after each
   * publish().
   */
  needsInterrupt(): boolean;

  /** Tells the driver that it need not kick. It may kick nevertheless. */
  disableKicks(): void;

  /**
   * Requests a kick of the driver for the next chain.
   * @param beyond only for chains after those already available
   * @returns true if one has arrived in the meantime, for which there may be no kick
   * @throws BrokenRingError
   */
  enableKicks(beyond?: boolean): boolean;
}
