import {
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
} from '../../virtio/status.js';
import type { DeviceIdentity } from '../kernel/control.js';
import { QueueCounters } from './counters.js';
import type { DataPlaneHost } from './host.js';
import type { VduseDevice } from '../kernel/device.js';
import type { Answer, Request } from '../kernel/messages.js';
import { hasFeature, initialPosition, negotiated, queueSetup, VIRTIO_F_RING_PACKED } from './negotiation.js';
import type { ServerState } from './status.js';

/** Time limit until the kernel shows the queue as ready after SET_VQ_READY; it does so right after the answer. */
const READY_WAIT_MS = 1000;

/** Options of a {@link DriverSession}. */
interface SessionParts {
  readonly device: Pick<VduseDevice, 'respond' | 'driverFeatures' | 'queueInfo' | 'notifyConfigChange'>;
  readonly identity: DeviceIdentity;
  readonly host: Pick<DataPlaneHost, 'run' | 'runQueue' | 'stop' | 'stopQueue' | 'invalidate'>;
  readonly counters: SharedArrayBuffer;
  /** Another server may have served the queues since the driver set them up. */
  readonly unknownPast: boolean;
  readonly onState: (state: ServerState) => void;
  readonly onBroken: (queue: number, reason: string) => void;
}

/**
 * Handles the actions of a driver on a device, as requested by the kernel: status, features, queues. Starts and stops
 * the data threads accordingly.
 */
export class DriverSession {
  readonly #device: SessionParts['device'];
  readonly #identity: DeviceIdentity;
  readonly #host: SessionParts['host'];
  readonly #counters: SharedArrayBuffer;
  readonly #onState: SessionParts['onState'];
  readonly #onBroken: SessionParts['onBroken'];
  readonly #started = new Set<number>();
  #state: ServerState = 'idle';
  #driverStatus = 0;
  #features = 0n;
  #unknownPast: boolean;

  constructor(parts: SessionParts) {
    this.#device = parts.device;
    this.#identity = parts.identity;
    this.#host = parts.host;
    this.#counters = parts.counters;
    this.#onState = parts.onState;
    this.#onBroken = parts.onBroken;
    this.#unknownPast = parts.unknownPast;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** The status set by the driver, and VIRTIO_CONFIG_S_NEEDS_RESET. */
  get driverStatus(): number {
    return this.#driverStatus;
  }

  /** The negotiated features; 0 before negotiation. */
  get features(): bigint {
    return this.#features;
  }

  /** Called when the state of the device changes. */
  enter(state: ServerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#onState(state);
  }

  /**
   * The driver has broken a ring. The specification requires the device to set a status bit and send an interrupt;
   * VDUSE has no way to set the bit, so only {@link driverStatus} has it.
   */
  needReset(queue: number, reason: string): void {
    this.#driverStatus |= VIRTIO_CONFIG_S_NEEDS_RESET;
    this.#onBroken(queue, reason);
    this.#device.notifyConfigChange();
  }

  /** Answers a request. @returns an action to run after the kernel has received the answer */
  async answer(request: Request): Promise<(() => void | Promise<void>) | undefined> {
    const respond = (answer: Answer): void => {
      this.#device.respond(request.id, answer);
    };
    switch (request.type) {
      case 'get-queue-state':
        respond(this.#queueState(request.queue));
        return undefined;
      case 'set-status':
        return this.#setStatus(request.status, respond);
      case 'update-iotlb':
        // No answer is better than a wrong one: without it, the kernel gives up the device.
        if (await this.#host.invalidate(request.start, request.last)) respond({ ok: true });
        return undefined;
      case 'set-group-asid':
        respond({ ok: request.group === 0 && request.asid === 0 });
        return undefined;
      case 'set-queue-ready':
        return this.#setQueueReady(request.queue, request.ready, respond);
      case 'suspend':
        if (!(await this.#host.stop())) return undefined;
        this.#started.clear();
        if (this.#state === 'running') this.enter('suspended');
        respond({ ok: true });
        return undefined;
      case 'unknown':
        respond({ ok: false });
        return undefined;
    }
  }

  async #setStatus(status: number, respond: (answer: Answer) => void): Promise<(() => void) | undefined> {
    const added = status & ~this.#driverStatus;
    if (status === 0) {
      if (!(await this.#host.stop({ reset: true }))) return undefined;
      this.#started.clear();
      this.#driverStatus = 0;
      this.#unknownPast = false;
      for (let queue = 0; queue < this.#identity.queueCount; queue++) {
        QueueCounters.at(this.#counters, queue).position = undefined;
      }
      this.#features = 0n;
      this.enter('idle');
      respond({ ok: true });
      return undefined;
    }
    if ((added & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)) !== 0) {
      const features = negotiated(this.#device.driverFeatures(), this.#identity.features);
      if (features === undefined) {
        respond({ ok: false });
        return undefined;
      }
      this.#features = features;
    }
    this.#driverStatus = status | (this.#driverStatus & VIRTIO_CONFIG_S_NEEDS_RESET);
    respond({ ok: true });
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) === 0) return undefined;
    return () => {
      this.#run(false);
    };
  }

  /** Makes the data threads serve the queues that the driver has made ready. */
  #run(resume: boolean): void {
    const queues = [];
    for (let index = 0; index < this.#identity.queueCount; index++) {
      const info = this.#device.queueInfo(index);
      const setup = queueSetup(index, info, this.#features, this.#identity.queueSize, { resume });
      if (setup === 'not ready') continue;
      if (setup === 'invalid') {
        this.needReset(index, 'invalid size, address or state');
        continue;
      }
      queues.push(setup);
      this.#started.add(index);
    }
    this.#host.run(this.#features, queues);
    this.enter('running');
  }

  async #setQueueReady(
    index: number,
    ready: boolean,
    respond: (answer: Answer) => void,
  ): Promise<(() => Promise<void>) | undefined> {
    if (this.#state !== 'running' || this.#started.has(index) === ready) {
      respond({ ok: true });
      return undefined;
    }
    if (!ready) {
      if (!(await this.#host.stopQueue(index))) return undefined;
      this.#started.delete(index);
      respond({ ok: true });
      return undefined;
    }
    respond({ ok: true });
    return async () => {
      if (QueueCounters.at(this.#counters, index).state === 'broken') {
        this.needReset(index, 'it was broken, or requests in flight were lost, before it was made ready again');
        return;
      }
      for (let waited = 0; waited < READY_WAIT_MS; waited++) {
        const info = this.#device.queueInfo(index);
        // The kernel does not let a driver change the state while the device runs: a queue that was disabled continues
        // where it stopped, also if that was under the last server.
        const { position } = QueueCounters.at(this.#counters, index);
        const begin = position === undefined ? { resume: this.#unknownPast } : { position };
        const setup = queueSetup(index, info, this.#features, this.#identity.queueSize, begin);
        if (typeof setup === 'object') {
          this.#host.runQueue(setup);
          this.#started.add(index);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      this.needReset(index, 'invalid size, address or state');
    };
  }

  /** Where the device continues in a queue. */
  #queueState(queue: number): Answer {
    if (queue >= this.#identity.queueCount) return { ok: false };
    const { state, position } = QueueCounters.at(this.#counters, queue);
    // The kernel expects the form that belongs to the features as it has them.
    const features = this.#device.driverFeatures();
    const packed = hasFeature(features, VIRTIO_F_RING_PACKED);
    if (position !== undefined) return { ok: true, queueState: { queue, packed, position } };
    // Either served from the position of the last server, and the ring with that position is missing; or suspended
    // under the last server: the progress of the device is unknown.
    if (state !== 'stopped' || this.#unknownPast) return { ok: false };
    const initial = initialPosition(this.#device.queueInfo(queue), features);
    return { ok: true, queueState: { queue, packed, position: initial } };
  }

  /** Continues where another server has ended. @param features the features of the running driver */
  resume(features: bigint): void {
    this.#features = features;
    this.#driverStatus = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
    this.#run(true);
  }
}
