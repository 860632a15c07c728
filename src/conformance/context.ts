/** What a check works with: the device, its driver, and requests. */
import { featureMask } from '../virtio/feature-mask.js';
import type { UsedChain } from '../virtio/driver/ring-driver.js';
import type { VhostVdpa } from '../vhost/device.js';
import type { VhostDriver } from '../vhost/driver.js';
import { CheckFailure } from './finding.js';
import type { Target } from '../vhost/target.js';
import type { Peer } from './peer.js';
import { workFor, type Work } from './work.js';

/** How long a device may take for an answer, in milliseconds. */
export const REPLY_MS = 5000;
/** How long nothing must happen, in milliseconds, for a check that nothing does. */
export const QUIET_MS = 150;

/** The features without which a device need not work. */
const BASE_FEATURES = ['VERSION_1', 'ACCESS_PLATFORM'];
const DEFAULT_QUEUE = 64;

/** How a check starts the device. */
export interface StartRequest {
  /** Features to accept if they are offered, by name, besides VERSION_1 and ACCESS_PLATFORM. */
  readonly features?: readonly string[];
  /** 64 by default, or what the device has. */
  readonly queueSize?: number;
}

/** A device under test. */
export class CheckContext {
  readonly target: Target;
  readonly driver: VhostDriver;
  /** Where the packets of a network device go, if somebody has said it. */
  readonly peer: Peer | undefined;
  readonly #work: Work | undefined;

  /** @param driver with as many queues as {@link driverQueues} says */
  constructor(target: Target, driver: VhostDriver, peer?: Peer) {
    this.target = target;
    this.driver = driver;
    this.peer = peer;
    this.#work = workFor(target);
  }

  get vhost(): VhostVdpa {
    return this.driver.vhost;
  }

  /** The requests for this type of device. @throws TypeError for a type that has none: the check requires one */
  get work(): Work {
    if (this.#work === undefined) throw new TypeError(`there are no requests for device id ${this.target.deviceId}`);
    return this.#work;
  }

  /** Features by name, as far as the device offers them. */
  mask(names: readonly string[]): bigint {
    return featureMask(this.target.deviceId, names) & this.target.features;
  }

  /** The features that {@link start} accepts. */
  accepting(names: readonly string[]): bigint {
    return this.mask([...BASE_FEATURES, ...names]);
  }

  /** Resets the device and starts it. @throws DriverError */
  start(request: StartRequest = {}): void {
    this.driver.start(this.#options(request));
  }

  /** The same without DRIVER_OK. */
  prepare(request: StartRequest = {}): void {
    this.driver.prepare(this.#options(request));
  }

  #options({ features = [], queueSize = Math.min(DEFAULT_QUEUE, this.target.queueSize) }: StartRequest): {
    readonly queueSize: number;
    readonly features: () => bigint;
  } {
    return { queueSize, features: () => this.accepting(features) };
  }

  /** Starts the device for its {@link work}. */
  startWork(request: StartRequest = {}): void {
    this.start(request);
    this.work.begin(this.driver);
  }

  /** Writes the request of a slot as a chain. @returns its head */
  chain(slot: number): number {
    return this.driver.ring(this.work.queue).chain(this.work.prepare(this.driver, slot));
  }

  /**
   * Makes requests of these slots, kicks once, and waits until all are completed, each once and without a fault.
   * @param sent what this is, for a failure
   * @param chain makes the chain of a slot
   * @returns the slots in the order of their completion
   */
  exchange(
    sent: string,
    slots: readonly number[],
    chain: (slot: number) => number = (slot) => this.chain(slot),
  ): number[] {
    const waiting = this.offer(slots, chain);
    this.kick();
    return this.collect(sent, waiting);
  }

  /** Makes requests of slots available. @returns the slots by head, for {@link collect} */
  offer(slots: readonly number[], chain: (slot: number) => number = (slot) => this.chain(slot)): Map<number, number> {
    const ring = this.driver.ring(this.work.queue);
    const waiting = new Map<number, number>();
    for (const slot of slots) {
      const head = chain(slot);
      waiting.set(head, slot);
      ring.offer(head);
    }
    return waiting;
  }

  /** Kicks the queue of the {@link work}. */
  kick(): void {
    this.driver.kick(this.work.queue);
  }

  /** Waits until chains are completed. @param waiting their slots by head; empty afterwards */
  collect(sent: string, waiting: Map<number, number>): number[] {
    const order: number[] = [];
    const total = waiting.size;
    while (waiting.size > 0) {
      const used = this.used();
      if (!used) {
        const came = `${total - waiting.size} of ${total} were completed within ${REPLY_MS / 1000} s`;
        throw new CheckFailure({ sent, came, expected: 'all of them' });
      }
      const slot = waiting.get(used.head);
      if (slot === undefined) {
        const came = `head ${used.head} was used, which is not in flight`;
        throw new CheckFailure({ sent, came, expected: `one of the heads ${[...waiting.keys()].join(', ')}` });
      }
      waiting.delete(used.head);
      const fault = this.work.fault(this.driver, slot, used.written);
      if (fault !== undefined) throw new CheckFailure({ sent, came: fault, expected: 'a request without a fault' });
      order.push(slot);
    }
    return order;
  }

  /** The next completed chain of the queue of the {@link work}; undefined if there is none in time. */
  used(timeoutMs: number = REPLY_MS): UsedChain | undefined {
    return this.driver.used(this.work.queue, timeoutMs);
  }

  /** @throws CheckFailure if a chain is completed although none may be */
  expectNothing(sent: string): void {
    const used = this.used(QUIET_MS);
    if (used) throw new CheckFailure({ sent, came: `head ${used.head} was used`, expected: 'nothing' });
  }

  /** After whatever was done: the device can be reset and carries out requests. */
  expectAlive(sent: string): void {
    this.startWork();
    this.exchange(`a request after a reset, after ${sent}`, [0]);
  }
}

/** The most queues that are tested. */
const MAX_QUEUES = 16;

/** The number of queues of the driver of a device: all, up to a limit. */
export function driverQueues(target: Target): number {
  return Math.min(target.queues, MAX_QUEUES);
}
