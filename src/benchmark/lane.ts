/** A queue, or a pair of them, with requests that are kept in flight. */
import type { RingDriver } from '../virtio/driver/ring-driver.js';
import type { Meter } from './meter.js';

/** What a lane needs of its driver: a VhostDriver whose device is started. */
export interface LaneDriver {
  /** The driver's memory. */
  readonly view: DataView;
  /** The features that were accepted. */
  readonly accepted: bigint;
  /** The offset of an IOVA in the memory. */
  at(iova: number): number;
  ring(queue: number): RingDriver;
  kick(queue: number): void;
}

/** Requests in flight on queues of their own. Its methods do not allocate. */
export interface Lane {
  /** The queues whose interrupts it waits for. */
  readonly queues: readonly number[];
  /** Requests in flight. */
  readonly inFlight: number;
  /** Makes requests until as many are in flight as the load says. */
  fill(meter: Meter): void;
  /**
   * Counts the requests that the device has completed, and makes as many again.
   * @param again false to let those in flight end
   * @returns how many were completed
   * @throws DriverError if one failed
   */
  turn(meter: Meter, again: boolean): number;
  /** Called several times a second: gives up packets that do not come back. */
  expire(meter: Meter, again: boolean): void;
  /** Wants an interrupt for what is completed next. */
  arm(): void;
  /** Wants none. */
  disarm(): void;
}

const EVENT_IDX = 1n << 29n;

/** A queue whose driver is interrupted only while it sleeps, and kicks only if the device wants that. */
export class QuietQueue {
  readonly ring: RingDriver;
  readonly #driver: LaneDriver;
  readonly #index: number;
  readonly #hasEvents: boolean;

  constructor(driver: LaneDriver, index: number) {
    this.ring = driver.ring(index);
    this.#driver = driver;
    this.#index = index;
    this.#hasEvents = (driver.accepted & EVENT_IDX) !== 0n;
    this.disarm();
  }

  /** Kicks for what was offered since the last time. */
  notify(): void {
    const { ring } = this;
    // A packed ring says in the same place whether it has an event, or wants every kick or none.
    const isWanted = this.#hasEvents || ring.packed ? ring.needsKick() : !ring.suppressesKicks;
    if (isWanted) this.#driver.kick(this.#index);
  }

  arm(): void {
    if (this.#hasEvents) this.ring.waitFor(1);
    else this.ring.allowInterrupts();
  }

  disarm(): void {
    // A split ring with an event index has no flag for it; its event is passed by itself.
    if (this.#hasEvents && !this.ring.packed) return;
    this.ring.suppressInterrupts();
  }
}
