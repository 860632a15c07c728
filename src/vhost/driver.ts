import { clearEventfd, openEventfd, signalEventfd } from '../sys/events.js';
import { close } from '../sys/libc.js';
import { poll, POLLIN } from '../sys/poll.js';
import { createDriver } from '../virtio/driver/create-driver.js';
import { PackedDriver } from '../virtio/driver/packed-driver.js';
import type { RingDriver, UsedChain } from '../virtio/driver/ring-driver.js';
import { SplitDriver } from '../virtio/driver/split-driver.js';
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK,
} from '../virtio/status.js';
import { VhostVdpa, type VhostVdpaOptions } from './device.js';
import { DriverError } from './error.js';
import { DriverMemory } from './memory.js';

/** The IOVA of the driver's memory. */
export const BASE = 0x1000_0000;
/** Its size, unless another one is asked for. */
export const MEMORY_BYTES = 4 * 1024 * 1024;
/** The space for each queue's rings; indirect tables are in the second half. */
const QUEUE_BYTES = 0x10000;
/** The largest size of a queue for which that is enough, in descriptors. */
export const MAX_DRIVER_QUEUE = 1024;
/** The IOVA of the buffers: the rest of the memory. */
export const DATA = BASE + 0x200000;
const MAX_QUEUES = (DATA - BASE) / QUEUE_BYTES;

const EVENT_IDX = 1n << 29n;
const RING_PACKED = 1n << 34n;

/** The device status after each step of the initialization. */
export const ACKNOWLEDGED = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
export const FEATURES_OK = ACKNOWLEDGED | VIRTIO_CONFIG_S_FEATURES_OK;
export const DRIVER_OK = FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

/** How a driver starts a device. */
export interface StartOptions {
  /** In descriptors: at most {@link MAX_DRIVER_QUEUE}. 64 by default. */
  readonly queueSize?: number;
  /** Selects from the offered features; all but the event index by default. */
  readonly features?: (offered: bigint) => bigint;
}

/** Options of {@link VhostDriver}. */
export interface DriverOptions extends StartOptions, VhostVdpaOptions {
  /** The number of queues that the driver uses, from the first on; 1 by default. */
  readonly queues?: number;
  /** Its memory is on huge pages of the machine's usual size. */
  readonly hugePages?: boolean;
  /** The memory for buffers, from {@link DATA} on, in bytes; 2 MiB by default. */
  readonly dataBytes?: number;
}

const withoutEventIndex = (offered: bigint): bigint => offered & ~EVENT_IDX;

/**
 * A driver through vhost-vdpa, which writes rings by hand: correctly, or as its caller wants. It blocks the thread while
 * it waits for the device.
 */
export class VhostDriver {
  readonly vhost: VhostVdpa;
  readonly memory: DriverMemory;
  readonly view: DataView;
  rings: RingDriver[] = [];
  /** The features of the last start. */
  accepted = 0n;
  readonly #kicks: number[] = [];
  readonly #calls: number[] = [];
  readonly #options: DriverOptions;

  /**
   * Opens a node and maps memory; nothing is started.
   * @param node `/dev/vhost-vdpa-0`
   * @throws SystemError
   */
  constructor(node: string, options: DriverOptions = {}) {
    const { queues = 1, hugePages = false, dataBytes = MEMORY_BYTES - (DATA - BASE) } = options;
    if (queues > MAX_QUEUES) throw new RangeError(`a driver has at most ${MAX_QUEUES} queues, not ${queues}`);
    this.#options = options;
    this.vhost = new VhostVdpa(node, options);
    try {
      this.memory = new DriverMemory(DATA - BASE + dataBytes, { hugePages });
    } catch (error) {
      this.vhost.close();
      throw error;
    }
    this.view = new DataView(this.memory.buffer);
    try {
      for (let queue = 0; queue < queues; queue++) {
        this.#kicks.push(openEventfd());
        this.#calls.push(openEventfd());
      }
      this.vhost.map(BASE, this.memory.length, this.memory.address);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The number of queues. */
  get queues(): number {
    return this.#kicks.length;
  }

  /**
   * Resets the device and starts it again, up to DRIVER_OK.
   * @throws DriverError if the device does not accept the features or the status
   */
  start(options: StartOptions = this.#options): void {
    this.prepare(options);
    this.#step(DRIVER_OK, 'the device did not start');
  }

  /** The same without DRIVER_OK. */
  prepare(options: StartOptions = this.#options): void {
    const { vhost } = this;
    vhost.status = 0;
    vhost.status = ACKNOWLEDGED;
    this.#negotiate(options);
    this.#step(FEATURES_OK, 'the features were not accepted');
    this.#makeQueues(options);
    this.enableQueues(true);
  }

  /**
   * Starts the device after its reset in the order of cloud-hypervisor: what the guest has negotiated and set up is sent
   * at the end, and the status changes once.
   */
  startAtOnce(options: StartOptions = this.#options): void {
    const { vhost } = this;
    this.#negotiate(options);
    vhost.setBackendFeatures(vhost.backendFeatures());
    this.#makeQueues(options);
    this.enableQueues(true);
    this.#step(DRIVER_OK, 'the device did not start');
  }

  #step(status: number, failure: string): void {
    this.vhost.status = status;
    const came = this.vhost.status;
    if (came !== status) throw new DriverError(`${failure}: its status is ${came} after ${status} was written`);
  }

  #negotiate({ features = withoutEventIndex }: StartOptions): void {
    this.accepted = features(this.vhost.features());
    this.vhost.setFeatures(this.accepted);
  }

  #makeQueues({ queueSize = 64 }: StartOptions): void {
    if (queueSize > MAX_DRIVER_QUEUE) throw new RangeError(`a queue of ${queueSize} descriptors is too large`);
    const { vhost } = this;
    const packed = (this.accepted & RING_PACKED) !== 0n;
    this.memory.u8.fill(0, 0, this.#kicks.length * QUEUE_BYTES);
    this.rings = this.#kicks.map((kick, queue) => {
      const place = { buffer: this.memory.buffer, base: BASE, iova: BASE + queue * QUEUE_BYTES };
      const ring = createDriver(packed, { ...place, size: queueSize, start: 0 });
      vhost.setQueueSize(queue, queueSize);
      vhost.setQueueAddress(queue, ring.descriptorArea, ring.driverArea, ring.deviceArea);
      vhost.setQueueBase(queue, ring.base);
      vhost.setCall(queue, this.callOf(queue));
      vhost.setKick(queue, kick);
      return ring;
    });
  }

  enableQueues(on: boolean): void {
    for (const queue of this.#kicks.keys()) this.vhost.enable(queue, on);
  }

  /** The rings of a queue, once it is started. */
  ring(queue = 0): RingDriver {
    const ring = this.rings[queue];
    if (!ring) throw new RangeError(`the driver has no queue ${queue}`);
    return ring;
  }

  /** @throws TypeError if the queue is packed */
  splitRing(queue = 0): SplitDriver {
    const ring = this.ring(queue);
    if (ring instanceof SplitDriver) return ring;
    throw new TypeError(`queue ${queue} is packed`);
  }

  /** @throws TypeError if the queue is split */
  packedRing(queue = 0): PackedDriver {
    const ring = this.ring(queue);
    if (ring instanceof PackedDriver) return ring;
    throw new TypeError(`queue ${queue} is split`);
  }

  /** The IOVA for an indirect table of a queue. */
  indirectTable(queue = 0): number {
    return BASE + queue * QUEUE_BYTES + QUEUE_BYTES / 2;
  }

  /** The offset of an IOVA in {@link view}. */
  at(iova: number): number {
    return iova - BASE;
  }

  kick(queue = 0): void {
    signalEventfd(this.#kicks[queue] ?? -1);
  }

  /** Makes a chain available and kicks. */
  offer(head: number, queue = 0): void {
    this.ring(queue).offer(head);
    this.kick(queue);
  }

  /** The eventfd that the device signals instead of an interrupt of a queue. */
  callOf(queue: number): number {
    return this.#calls[queue] ?? -1;
  }

  /** The next completed chain, or undefined if there is none in time. Blocks the thread. */
  used(queue = 0, timeoutMs = 20_000): UsedChain | undefined {
    const end = performance.now() + timeoutMs;
    const ring = this.ring(queue);
    for (;;) {
      const used = ring.collect();
      if (used) return used;
      const left = end - performance.now();
      if (left <= 0) return undefined;
      this.clearCall(queue, Math.min(left, 50));
    }
  }

  /** Waits for an interrupt and clears it. @returns whether there was one */
  clearCall(queue = 0, timeoutMs = 0): boolean {
    const call = this.callOf(queue);
    if (poll(call, POLLIN, timeoutMs) !== 1) return false;
    clearEventfd(call);
    return true;
  }

  /** Closes the node, which resets the device, and frees the memory. */
  close(): void {
    this.vhost.close();
    this.memory.free();
    for (const fd of [...this.#kicks, ...this.#calls]) close(fd);
  }
}
