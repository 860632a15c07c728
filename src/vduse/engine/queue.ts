import type { GuestMemory } from '../../virtio/guest-memory.js';
import type { DescriptorChain } from '../../virtio/descriptor-chain.js';
import { PackedQueue } from '../../virtio/packed-queue.js';
import { SplitQueue } from '../../virtio/split-queue.js';
import { BrokenRingError, type QueueLayout, type Virtqueue } from '../../virtio/virtqueue.js';
import { INTERRUPTS, type QueueCounters } from './counters.js';
import type { Interrupt } from '../kernel/interrupt.js';
import type { InflightLog } from './inflight-log.js';
import { MORE, type ServeResult } from './serve-result.js';

/** Guest memory was revoked while the thread was working: its results since then may be lost. */
export class MemoryRevokedError extends Error {
  override readonly name = 'MemoryRevokedError';
}

/** A queue that the driver has set up. */
export interface QueueSetup {
  readonly index: number;
  readonly layout: QueueLayout;
  /** Where the driver lets the device begin: the available index, or see {@link Virtqueue.nextUsed}. */
  readonly position: number;
  /** Another server may have served it: the used index of the ring or the log tells where to continue. */
  readonly resume: boolean;
}

/** The server of queues, as a queue sees it. */
export interface QueueOwner {
  readonly memory: GuestMemory;
  readonly interrupt: Interrupt;
  /** Whether guest memory was revoked, and not mapped again since. */
  readonly isRevoked: () => boolean;
  /** Whether the main thread waits for this one, so that serving should end soon. */
  readonly hasPendingCommand: () => boolean;
}

/** A queue of a device in use by a driver: its ring, its counters, and its interrupt. */
export class DeviceQueue {
  readonly index: number;
  /** The driver has broken the ring: the queue is stopped until the device is reset. */
  broken = false;
  /** The result of serving it the last time. */
  served: ServeResult = MORE;
  /** An interrupt must be injected before the thread sleeps: it was not possible yet, or the last one may be lost. */
  interruptPending: boolean;

  readonly #memory: GuestMemory;
  readonly #layout: QueueLayout;
  readonly #counters: QueueCounters;
  readonly #interrupt: Interrupt;
  readonly #isRevoked: () => boolean;
  readonly #log: InflightLog | undefined;
  /** Chains to take again: they were in flight when the ring was last in use. */
  #again: number[] = [];
  /** Which heads are taken and not completed. */
  readonly #taken: Uint8Array;
  /** Whether the main thread waits for this one, so that serving should end soon. */
  readonly hasPendingCommand: () => boolean;
  readonly #position: number;
  /** Whether to continue where the ring was last in use. */
  #resume: boolean;
  #ring: Virtqueue | undefined;

  /**
   * @param log for chains that are completed in any order, and for packed queues; without it, in the order in which
   *   they were taken
   */
  constructor(setup: QueueSetup, counters: QueueCounters, owner: QueueOwner, log?: InflightLog) {
    this.index = setup.index;
    this.#layout = setup.layout;
    this.#position = setup.position;
    this.#resume = setup.resume;
    this.#memory = owner.memory;
    this.#counters = counters;
    this.#interrupt = owner.interrupt;
    this.#isRevoked = owner.isRevoked;
    this.hasPendingCommand = owner.hasPendingCommand;
    this.interruptPending = setup.resume;
    this.#log = log;
    if (!setup.resume) {
      if (setup.layout.packed) log?.reset(setup.position);
      else log?.clear();
    }
    this.#taken = new Uint8Array(log === undefined ? 0 : setup.layout.size);
    // Where another server has stopped, the ring tells, or the log while the ring is missing.
    counters.position = setup.resume ? log?.position : setup.position;
    counters.state = 'running';
  }

  /** The ring, for a data plane that serves the queue, which implies that it is mapped. */
  get ring(): Virtqueue {
    if (this.#ring === undefined) throw new Error(`queue ${this.index} is not mapped`);
    return this.#ring;
  }

  /** Whether it can be served. */
  get usable(): boolean {
    return !this.broken && this.#ring !== undefined;
  }

  /** Maps the ring if necessary. @returns false while its memory is missing */
  map(): boolean {
    if (this.#ring !== undefined) return true;
    const ring = this.#layout.packed ? this.#mapPacked() : this.#mapSplit();
    this.#counters.state = ring ? 'running' : 'unmapped';
    if (ring === undefined) return false;
    this.#taken.fill(0);
    this.#again = [];
    if (this.#resume) {
      this.#again = this.#log?.recover(ring.nextUsed).filter((head) => head < this.#layout.size) ?? [];
      ring.resume(this.#again);
    } else {
      this.#log?.reset(ring.nextUsed);
    }
    this.#ring = ring;
    this.#resume = true;
    this.#counters.position = ring.nextUsed;
    return true;
  }

  #mapSplit(): SplitQueue | undefined {
    return SplitQueue.map(this.#memory, this.#layout, this.#resume ? undefined : this.#position);
  }

  #mapPacked(): PackedQueue | undefined {
    const log = this.#log;
    if (log?.chains === undefined) throw new Error(`packed queue ${this.index} has no log`);
    // A driver that has reset the device since has begun anew.
    const position = log.usedIndex ?? this.#position;
    const ring = PackedQueue.map(this.#memory, this.#layout, position, log.chains);
    ring?.finish(log.batch);
    if (ring) log.afterPublish(ring.nextUsed);
    return ring;
  }

  /** Whether there is a chain to take that the driver has not added since. */
  get hasAgain(): boolean {
    return this.#again.length > 0;
  }

  /**
   * Takes the next chain, of a queue with a log. It is begun with {@link begin}, or put back.
   * @returns false if there is none
   * @throws BrokenRingError
   */
  take(chain: DescriptorChain): boolean {
    const [again] = this.#again;
    if (again !== undefined) {
      this.ring.read(again, chain);
      this.#again.shift();
    } else if (!this.ring.take(chain)) {
      return false;
    }
    if (this.#taken[chain.head] !== 0) throw new BrokenRingError(`descriptor ${chain.head} is in flight already`);
    this.#taken[chain.head] = 1;
    return true;
  }

  /** Puts back the chain that was taken last. */
  putBack(head: number): void {
    this.#taken[head] = 0;
    if (this.#log?.isInFlight(head) === true) this.#again.unshift(head);
    else this.ring.putBack(1);
  }

  /** A chain is about to be executed, after {@link checkMemory}. */
  begin(head: number): void {
    this.#log?.begin(head);
  }

  /**
   * Completes a chain of a queue with a log. The driver sees it after {@link flush}, unless the queue is stopped.
   */
  complete(head: number, written: number): void {
    if (this.#ring === undefined) return;
    this.#log?.complete(this.#ring.completed, head);
    this.#taken[head] = 0;
    this.#ring.complete(head, written);
  }

  /** Discards the mapping of the ring. After it is mapped again, the ring or the log tells where to continue. */
  unmap(): void {
    this.#ring = undefined;
    this.interruptPending = true;
  }

  /** Adds to one of the queue's counters. */
  count(counter: number, count: number): void {
    this.#counters.add(counter, count);
  }

  /**
   * Must be called between reading requests and executing them: revoked guest memory reads as zeros, and a request may
   * have been read half before and half after revocation.
   * @throws MemoryRevokedError
   */
  checkMemory(): void {
    if (this.#isRevoked()) throw new MemoryRevokedError();
  }

  /**
   * Publishes completed requests to the driver, and interrupts it if it wants that.
   * @throws MemoryRevokedError
   */
  flush(): void {
    const ring = this.ring;
    // A status byte may be lost even if the used ring is not: a polling driver must not see the entry without it.
    this.checkMemory();
    const batch = ring.completed;
    if (batch > 0) this.#log?.beforePublish(ring.published, batch);
    ring.publish();
    // The index itself may be lost: then the driver has not seen the requests, and they are served again.
    this.checkMemory();
    if (batch > 0) this.#log?.afterPublish(ring.nextUsed);
    this.#counters.position = ring.nextUsed;
    if (ring.needsInterrupt()) this.interrupt();
  }

  /** Interrupts the driver. @throws SystemError */
  interrupt(): void {
    const result = this.#interrupt(this.index);
    this.interruptPending = result === 'pending';
    if (result === 'sent') this.count(INTERRUPTS, 1);
  }

  /** The queue is no longer served. @param state its reported state from now on */
  stop(state: 'stopped' | 'broken'): void {
    this.#ring = undefined;
    this.#counters.state = state;
    if (this.#log?.hasInFlight !== true) return;
    // Chains whose results are lost are still in flight: no index tells where to continue.
    this.#counters.position = undefined;
    this.#counters.state = 'broken';
  }
}
