/** Keeps a device busy and measures it. */
import { setImmediate } from 'node:timers/promises';
import { EPOLLET, EPOLLIN, EventPoll } from '../sys/events.js';
import { VhostVdpa } from '../vhost/device.js';
import { DATA, VhostDriver } from '../vhost/driver.js';
import { DriverError } from '../vhost/error.js';
import { readTarget } from '../vhost/target.js';
import { BlockLane, blockLaneBytes } from './block-lane.js';
import type { Lane } from './lane.js';
import { planLoad, type BlockLoad, type Load, type LoadRequest, type NetLoad } from './load.js';
import type { Measurement, OperationName } from './measurement.js';
import { Meter } from './meter.js';
import { NetLane, netLaneBytes } from './net-lane.js';
import { operationsOf } from './patterns.js';

/** How long the driver works before it looks at signals, in milliseconds. */
const SLICE_MS = 100;
/** How long it sleeps at most, in milliseconds. */
const SLEEP_MS = 50;
/** How long a device may take before it counts as stuck, in milliseconds. */
const STUCK_MS = 10_000;
/** How long a packet may take to come back, for the driver to know that packets do, in milliseconds. */
const LOOP_MS = 2000;

/** How far a measurement is. */
export interface Progress {
  /** The whole time, and what is over. */
  readonly total: number;
  readonly seconds: number;
  readonly requests: number;
}

/** Options of {@link Bench.run}. */
export interface RunOptions {
  /** Ends it early: it rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Called about ten times a second. */
  readonly onProgress?: (progress: Progress) => void;
}

/** A started device with a load. It has the node open, and blocks its thread for a tenth of a second at a time. */
export class Bench {
  readonly load: Load;
  readonly #driver: VhostDriver;
  readonly #poll = new EventPoll();
  readonly #lanes: readonly Lane[];
  readonly #meter: Meter;
  /** When something was completed last, on the clock of the meter. */
  #progressAt = 0;

  /**
   * Starts a device.
   * @param node `/dev/vhost-vdpa-0`
   * @throws LoadError if the device cannot have the load; SystemError; DriverError
   */
  constructor(node: string, request: LoadRequest) {
    const load = planFor(node, request);
    this.load = load;
    this.#driver = new VhostDriver(node, {
      queues: load.type === 'net' ? 2 : load.queues,
      dataBytes: dataBytes(load),
      queueSize: load.queueSize,
      features: () => load.features,
    });
    try {
      const loops = load.type === 'net' && loopsBack(this.#driver, load);
      this.#driver.start();
      this.#lanes =
        load.type === 'net' ? [new NetLane(this.#driver, load, DATA, loops)] : blockLanes(this.#driver, load);
      this.#meter = new Meter(operationNames(load, loops), load.blockSize);
      const events = (EPOLLIN | EPOLLET) >>> 0;
      for (const queue of this.#lanes.flatMap(({ queues }) => queues)) {
        this.#poll.add(this.#driver.callOf(queue), events, queue);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Keeps the device busy for some time, and lets it finish what is in flight then.
   * @returns what it has completed in that time
   * @throws DriverError if a request fails, or none is completed for ten seconds; UsedRingError; the reason of the signal
   */
  async run(seconds: number, { signal, onProgress }: RunOptions = {}): Promise<Measurement> {
    const meter = this.#meter;
    meter.reset();
    this.#progressAt = meter.time;
    const end = meter.time + seconds * 1000;
    for (const lane of this.#lanes) lane.fill(meter);
    while (meter.time < end) {
      const until = Math.min(end, meter.time + SLICE_MS);
      while (meter.time < until) this.#step(true, until);
      await this.#pause(true, signal);
      onProgress?.({ total: seconds, seconds: meter.seconds, requests: meter.requests });
    }
    const measurement = meter.measurement();
    while (this.#isBusy()) {
      const until = meter.read() + SLICE_MS;
      while (this.#isBusy() && meter.time < until) this.#step(false, until);
      await this.#pause(false, signal);
    }
    return measurement;
  }

  #isBusy(): boolean {
    return this.#lanes.some(({ inFlight }) => inFlight > 0);
  }

  /** Lets signals in. Requests go on meanwhile, but nobody would see that they are completed: the clock stops. */
  async #pause(again: boolean, signal: AbortSignal | undefined): Promise<void> {
    for (const lane of this.#lanes) lane.expire(this.#meter, again);
    await this.#meter.pause(() => setImmediate());
    signal?.throwIfAborted();
  }

  /** One look at all lanes, and a sleep if there is nothing. */
  #step(again: boolean, until: number): void {
    const lanes = this.#lanes;
    const meter = this.#meter;
    let count = 0;
    for (const lane of lanes) count += lane.turn(meter, again);
    if (count === 0) {
      for (const lane of lanes) lane.arm();
      // What was completed before that would bring no interrupt.
      for (const lane of lanes) count += lane.turn(meter, again);
      if (count === 0) this.#sleep(until);
      for (const lane of lanes) lane.disarm();
    }
    if (count > 0) this.#progressAt = meter.time;
  }

  #sleep(until: number): void {
    const meter = this.#meter;
    this.#poll.wait(Math.min(SLEEP_MS, Math.max(0, Math.ceil(until - meter.read()))));
    meter.read();
    if (meter.time - this.#progressAt > STUCK_MS) {
      throw new DriverError(`the device has completed nothing for ${STUCK_MS / 1000} s`);
    }
  }

  /** Resets the device and closes its node. */
  close(): void {
    this.#poll.close();
    this.#driver.close();
  }
}

/** Opens the device for a moment, to know what it can do. */
function planFor(node: string, request: LoadRequest): Load {
  const vhost = new VhostVdpa(node);
  try {
    return planLoad(readTarget(vhost), request);
  } finally {
    vhost.close();
  }
}

function dataBytes(load: Load): number {
  return load.type === 'net' ? netLaneBytes(load) : load.queues * blockLaneBytes(load);
}

function operationNames(load: Load, loops: boolean): readonly OperationName[] {
  if (load.type === 'block') return operationsOf(load.pattern);
  return [loops ? 'loop' : 'send'];
}

function blockLanes(driver: VhostDriver, load: BlockLoad): readonly Lane[] {
  return Array.from(
    { length: load.queues },
    (_, queue) => new BlockLane(driver, queue, load, DATA + queue * blockLaneBytes(load), queue / load.queues),
  );
}

/** Whether packets come back: the device is started, and sends some. */
function loopsBack(driver: VhostDriver, load: NetLoad): boolean {
  driver.start();
  const meter = new Meter(['loop'], load.blockSize);
  const lane = new NetLane(driver, load, DATA, true);
  lane.fill(meter);
  const end = performance.now() + LOOP_MS;
  while (performance.now() < end) {
    lane.arm();
    lane.turn(meter, false);
    if (meter.requests > 0) return true;
    driver.clearCall(0, 10);
  }
  return false;
}
