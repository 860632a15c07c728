import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { openEventfd, signalEventfd } from '../../../../src/sys/events.js';
import { MFD_HUGETLB } from '../../../../src/sys/file.js';
import { close } from '../../../../src/sys/libc.js';
import { poll, POLLIN } from '../../../../src/sys/poll.js';
import { createDriver } from '../../create-driver.js';
import { PackedDriver } from '../../packed-driver.js';
import type { RingDriver } from '../../ring-driver.js';
import { SplitDriver } from '../../split-driver.js';
import { DriverMemory, VhostVdpa } from './vhost-vdpa.js';

/** The IOVA of the driver's memory. */
export const BASE = 0x1000_0000;
/** Its size. */
export const MEMORY_BYTES = 4 * 1024 * 1024;
/** The space for each queue's rings; indirect tables are in the second half. */
const QUEUE_BYTES = 0x10000;
/** Where buffers are: the rest of the memory. */
export const DATA = BASE + 0x200000;
const EVENT_IDX = 1n << 29n;
const RING_PACKED = 1n << 34n;
/** ACKNOWLEDGE and DRIVER, then FEATURES_OK, then DRIVER_OK. */
const ACKNOWLEDGED = 3;
const FEATURES_OK = 11;
export const DRIVER_OK = 15;

export interface DriverOptions {
  readonly queues?: number;
  readonly queueSize?: number;
  /** Its memory is on huge pages of the machine's usual size. */
  readonly hugePages?: boolean;
  /** Selects from the offered features; all but the event index by default. */
  readonly features?: (offered: bigint) => bigint;
  /** {@link VhostDriver.startAtOnce} negotiates the backend features, not the constructor. */
  readonly agreesLater?: boolean;
}

const withoutEventIndex = (offered: bigint): bigint => offered & ~EVENT_IDX;

/** A driver through vhost-vdpa. It can behave correctly, and allows tests not to. */
export class VhostDriver {
  readonly vhost: VhostVdpa;
  readonly memory: DriverMemory;
  readonly view: DataView;
  rings: RingDriver[] = [];
  /** Whether the queues are packed: if the device offers that, and the features were not chosen otherwise. */
  #packed = false;
  readonly #kicks: number[] = [];
  readonly #calls: number[] = [];
  readonly #options: DriverOptions;

  /** @param node `/dev/vhost-vdpa-0` */
  constructor(node: string, options: DriverOptions = {}) {
    this.vhost = options.agreesLater === true ? new VhostVdpa(node, 'later') : new VhostVdpa(node);
    this.memory = new DriverMemory(MEMORY_BYTES, MEMORY_BYTES, options.hugePages === true ? MFD_HUGETLB : 0);
    this.view = new DataView(this.memory.buffer);
    this.#options = options;
    for (let queue = 0; queue < (options.queues ?? 1); queue++) {
      this.#kicks.push(openEventfd());
      this.#calls.push(openEventfd());
    }
    this.vhost.map(BASE, MEMORY_BYTES, this.memory.address);
  }

  /** Resets the device and starts it again as specified, up to DRIVER_OK. */
  start(options: DriverOptions = this.#options): void {
    this.prepare(options);
    this.vhost.status = DRIVER_OK;
    assert.equal(this.vhost.status, DRIVER_OK);
  }

  /** The same without DRIVER_OK. */
  prepare({ queueSize = 64, features = withoutEventIndex }: DriverOptions = this.#options): void {
    const { vhost } = this;
    vhost.status = 0;
    vhost.status = ACKNOWLEDGED;
    this.#negotiate(features);
    vhost.status = FEATURES_OK;
    assert.equal(vhost.status, FEATURES_OK, 'the features were not accepted');
    this.#makeQueues(queueSize);
    this.enableQueues(true);
  }

  /**
   * Starts the device after its reset in the order of cloud-hypervisor: what the guest has negotiated and set up is sent at the
   * end, and the status changes once.
   */
  startAtOnce({ queueSize = 64, features = withoutEventIndex }: DriverOptions = this.#options): void {
    const { vhost } = this;
    this.#negotiate(features);
    vhost.setBackendFeatures(vhost.backendFeatures());
    this.#makeQueues(queueSize);
    this.enableQueues(true);
    vhost.status = DRIVER_OK;
    assert.equal(vhost.status, DRIVER_OK);
  }

  #negotiate(features: (offered: bigint) => bigint): void {
    const accepted = features(this.vhost.features());
    this.#packed = (accepted & RING_PACKED) !== 0n;
    this.vhost.setFeatures(accepted);
  }

  #makeQueues(queueSize: number): void {
    const { vhost } = this;
    this.memory.u8.fill(0, 0, this.#kicks.length * QUEUE_BYTES);
    this.rings = this.#kicks.map((kick, queue) => {
      const place = { buffer: this.memory.buffer, base: BASE, iova: BASE + queue * QUEUE_BYTES };
      const ring = createDriver(this.#packed, { ...place, size: queueSize, start: 0 });
      vhost.setQueueSize(queue, queueSize);
      vhost.setQueueAddress(queue, ring.descriptorArea, ring.driverArea, ring.deviceArea);
      vhost.setQueueBase(queue, ring.base);
      vhost.setCall(queue, this.#calls[queue] ?? -1);
      vhost.setKick(queue, kick);
      return ring;
    });
  }

  enableQueues(on: boolean): void {
    for (const queue of this.#kicks.keys()) this.vhost.enable(queue, on);
  }

  ring(queue = 0): RingDriver {
    const ring = this.rings[queue];
    if (!ring) throw new RangeError(`the driver has no queue ${queue}`);
    return ring;
  }

  splitRing(queue = 0): SplitDriver {
    const ring = this.ring(queue);
    assert.ok(ring instanceof SplitDriver);
    return ring;
  }

  packedRing(queue = 0): PackedDriver {
    const ring = this.ring(queue);
    assert.ok(ring instanceof PackedDriver);
    return ring;
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

  /** The next completed chain, or undefined if there is none in time. Blocks the thread. */
  used(queue = 0, timeoutMs = 20_000): { head: number; written: number } | undefined {
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

  /** Waits for an interrupt and clears it. */
  clearCall(queue = 0, timeoutMs = 0): boolean {
    const call = this.#calls[queue] ?? -1;
    if (poll(call, POLLIN, timeoutMs) !== 1) return false;
    readSync(call, new Uint8Array(8));
    return true;
  }

  close(): void {
    this.vhost.close();
    this.memory.free();
    for (const fd of [...this.#kicks, ...this.#calls]) close(fd);
  }
}
