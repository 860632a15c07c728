import type { GuestMemory } from '../../virtio/guest-memory.js';
import type { DescriptorChain } from '../../virtio/descriptor-chain.js';
import { BrokenRingError, SplitQueue, type QueueLayout } from '../../virtio/split-queue.js';
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
  /** The initial available index; undefined to continue at the end of the used ring. */
  readonly availableIndex: number | undefined;
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
  /** Completed and not published. */
  #batch = 0;
  /** Whether the main thread waits for this one, so that serving should end soon. */
  readonly hasPendingCommand: () => boolean;
  #begin: number | undefined;
  #ring: SplitQueue | undefined;

  /** @param log for chains that are completed in any order; without it, in the order in which they were taken */
  constructor(setup: QueueSetup, counters: QueueCounters, owner: QueueOwner, log?: InflightLog) {
    this.index = setup.index;
    this.#layout = setup.layout;
    this.#begin = setup.availableIndex;
    this.#memory = owner.memory;
    this.#counters = counters;
    this.#interrupt = owner.interrupt;
    this.#isRevoked = owner.isRevoked;
    this.hasPendingCommand = owner.hasPendingCommand;
    this.interruptPending = setup.availableIndex === undefined;
    this.#log = log;
    if (setup.availableIndex !== undefined) log?.clear();
    this.#taken = new Uint8Array(log === undefined ? 0 : setup.layout.size);
    // Where another server has stopped, the ring tells, or the log while the ring is missing.
    counters.usedIndex = setup.availableIndex ?? log?.position;
    counters.state = 'running';
  }

  /** The ring, for a data plane that serves the queue, which implies that it is mapped. */
  get ring(): SplitQueue {
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
    this.#ring = SplitQueue.map(this.#memory, this.#layout, this.#begin);
    this.#counters.state = this.#ring ? 'running' : 'unmapped';
    if (this.#ring === undefined) return false;
    if (this.#log !== undefined) this.#recover(this.#ring, this.#log);
    this.#begin = undefined;
    this.#counters.usedIndex = this.#ring.nextUsed;
    return true;
  }

  /** Continues with the chains in flight, or begins with none. */
  #recover(ring: SplitQueue, log: InflightLog): void {
    this.#taken.fill(0);
    this.#batch = 0;
    if (this.#begin !== undefined) {
      log.reset(ring.nextUsed);
      this.#again = [];
      return;
    }
    this.#again = log.recover(ring.nextUsed).filter((head) => head < this.#layout.size);
    ring.skip(this.#again.length);
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
    this.#log?.complete(this.#batch++, head);
    this.#taken[head] = 0;
    this.#ring.complete(head, written);
  }

  /** Discards the mapping of the ring. After it is mapped again, its used index tells where to continue. */
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
    const batch = this.#batch;
    this.#batch = 0;
    if (batch > 0) this.#log?.beforePublish((ring.nextUsed - batch) & 0xffff, batch);
    ring.publish();
    // The index itself may be lost: then the driver has not seen the requests, and they are served again.
    this.checkMemory();
    if (batch > 0) this.#log?.afterPublish(ring.nextUsed);
    this.#counters.usedIndex = ring.nextUsed;
    if (ring.needsInterrupt()) this.interrupt();
  }

  /** Interrupts the driver. @throws SystemError */
  interrupt(): void {
    const result = this.#interrupt(this.index);
    this.interruptPending = result === 'pending';
    if (result === 'sent') this.count(INTERRUPTS, 1);
  }

  /** The driver has reset the device: what is still in flight is not begun again. */
  forget(): void {
    this.#log?.clear();
  }

  /** The queue is no longer served. @param state its reported state from now on */
  stop(state: 'stopped' | 'broken'): void {
    this.#ring = undefined;
    this.#counters.state = state;
    if (this.#log?.hasInFlight !== true) return;
    // Chains whose results are lost are still in flight: no index tells where to continue.
    this.#counters.usedIndex = undefined;
    this.#counters.state = 'broken';
  }
}
