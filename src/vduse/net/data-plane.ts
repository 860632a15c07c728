/** The data plane of a network device: pairs of queues on one side, a {@link NetBackend} on the other. */
import { isReceiveQueue } from '../../virtio/net.js';
import type { DataPlane, ServeResult } from '../engine/data-plane.js';
import type { DeviceQueue } from '../engine/queue.js';

/** Where the packets of a network device go to and come from; one for each data thread. */
export interface NetBackend {
  /** Called when a driver has set up the device. @param features the negotiated features */
  start(features: bigint): void;

  /** Takes packets that the driver sends. @param receiving the other queue of the pair, if it is in use */
  transmit(sending: DeviceQueue, receiving: DeviceQueue | undefined): ServeResult;

  /** Passes received packets to the driver. */
  receive(receiving: DeviceQueue): ServeResult;

  close(): void;
}

export class NetPlane implements DataPlane {
  readonly #backend: NetBackend;
  /** By the number of the pair. */
  #receiving: (DeviceQueue | undefined)[] = [];

  constructor(backend: NetBackend) {
    this.#backend = backend;
  }

  start(features: bigint): void {
    this.#receiving = [];
    this.#backend.start(features);
  }

  serve(queue: DeviceQueue): ServeResult {
    const pair = queue.index >>> 1;
    if (isReceiveQueue(queue.index)) {
      this.#receiving[pair] = queue;
      return this.#backend.receive(queue);
    }
    const receiving = this.#receiving[pair];
    return this.#backend.transmit(queue, receiving?.usable === true ? receiving : undefined);
  }

  close(): void {
    this.#backend.close();
  }
}
