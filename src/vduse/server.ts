import { EventEmitter } from 'node:events';
import { EPOLLERR, EPOLLIN, EventPoll, openEventfd, signalEventfd } from '../sys/events.js';
import { close } from '../sys/libc.js';
import { readable } from '../sys/readable.js';
import { SystemError } from '../sys/error.js';
import { Errno } from '../sys/errno.js';
import {
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
} from '../virtio/status.js';
import { VduseControl, type DeviceIdentity } from './control.js';
import { QueueCounters } from './counters.js';
import type { DataPlaneModule } from './data-plane.js';
import { DataPlaneHost } from './data-plane-host.js';
import { VduseDevice } from './device.js';
import { isAttached, lookAtInstance } from './instance.js';
import type { Answer, Request } from './messages.js';
import { negotiated, queueSetup } from './negotiation.js';
import { checkDeviceName } from './name.js';
import type { ServerState, ServerStatus } from './server-status.js';

/** What data planes work on, where it may hang. */
export interface Backing {
  /** For how long it has not answered, in milliseconds. */
  readonly stalledMs: number;
  /** Called when no data plane uses it any more. @returns false where that takes too long: it goes on, on a thread of its own */
  close(): Promise<boolean>;
}

/** What a server is made of. */
export interface ServerOptions {
  readonly name: string;
  readonly identity: DeviceIdentity;
  readonly dataPlane: DataPlaneModule;
  /** How many threads serve the queues, which they take in turn. 1 by default. */
  readonly threads?: number;
  /** So many queues in a row are served by the same thread. 1 by default. */
  readonly queueGroup?: number;
  /** Serve the instance of that name that is there already, its server having ended. */
  readonly takeOver?: boolean;
  /** Closed when the server stops; it stays the caller's where the server does not start. */
  readonly backing?: Backing;
}

interface ServerEvents {
  /** The state has changed. */
  state: [ServerState];
  /** A driver has broken a ring; the queue rests until the device is reset. */
  broken: [queue: number, reason: string];
  /** The server cannot go on. */
  error: [Error];
}

/** How often it is looked at whether what the data planes work on answers; what takes longer than that may tell nothing. */
const LOOK_MS = 1000;
const STALLED_MS = 2000;

const DEVICE = 0;
const WAKE = 1;

/** How long SET_VQ_READY may take until the kernel shows the queue as ready; it does so right after the answer. */
const READY_WAIT_MS = 1000;

/**
 * The server of a VDUSE device. It makes the instance, answers what the kernel asks, and starts and stops the data
 * threads as the driver says. It runs in the main thread and never touches guest memory, so that it can always answer.
 */
export class VduseServer extends EventEmitter<ServerEvents> {
  readonly name: string;
  readonly #identity: DeviceIdentity;
  readonly #config: Uint8Array;
  readonly #device: VduseDevice;
  readonly #host: DataPlaneHost;
  readonly #counters: SharedArrayBuffer;
  readonly #poll = new EventPoll();
  readonly #wake = openEventfd();
  #state: ServerState = 'idle';
  #driverStatus = 0;
  #features = 0n;
  #started = new Set<number>();
  /** Another server may have served the queues since the driver set them up. */
  #unknownPast: boolean;
  #loop: Promise<void> | undefined;
  #ending = false;
  readonly #backing: Backing | undefined;
  #backingStuck = false;
  #looking: NodeJS.Timeout | undefined;

  /**
   * Makes the instance and its data threads, and begins to answer. The device can be attached to the vdpa bus then.
   * Where a step fails, those before it are undone.
   * @throws DeviceNameError, SystemError, and what the data plane throws when it is made
   */
  static async start(options: ServerOptions): Promise<VduseServer> {
    checkDeviceName(options.name);
    const control = new VduseControl();
    try {
      if (options.takeOver !== true) control.create(options.name, options.identity);
      try {
        return await VduseServer.#open(options);
      } catch (error) {
        if (options.takeOver !== true) control.destroy(options.name);
        throw error;
      }
    } finally {
      control.close();
    }
  }

  static async #open(options: ServerOptions): Promise<VduseServer> {
    const { identity } = options;
    const device = VduseDevice.open(options.name);
    let host: DataPlaneHost | undefined;
    try {
      const counters = QueueCounters.allocate(identity.queueCount);
      const resumed = options.takeOver === true ? lookAtInstance(device, options.name, identity) : undefined;
      if (resumed === undefined) {
        for (let queue = 0; queue < identity.queueCount; queue++) device.setUpQueue(queue, identity.queueSize);
      }
      host = await DataPlaneHost.start({
        device,
        counters,
        module: options.dataPlane,
        queueCount: identity.queueCount,
        queueSize: identity.queueSize,
        threads: Math.min(options.threads ?? 1, identity.queueCount / (options.queueGroup ?? 1)),
        queueGroup: options.queueGroup ?? 1,
      });
      const server = new VduseServer(options, device, host, counters);
      // What this server says of the device may be newer than what the last one said.
      if (options.takeOver === true) server.changeConfig(0, identity.config);
      if (resumed !== undefined) server.#resume(resumed);
      server.#loop = server.#serve();
      return server;
    } catch (error) {
      await host?.exit();
      device.close();
      throw error;
    }
  }

  private constructor(options: ServerOptions, device: VduseDevice, host: DataPlaneHost, counters: SharedArrayBuffer) {
    super();
    this.name = options.name;
    this.#identity = options.identity;
    this.#config = options.identity.config.slice();
    this.#device = device;
    this.#host = host;
    this.#counters = counters;
    this.#backing = options.backing;
    if (options.backing) this.#looking = setInterval(() => host.look(), LOOK_MS).unref();
    this.#unknownPast = options.takeOver === true && device.driverFeatures() !== 0n;
    host.on('broken', (queue, reason) => {
      this.#needReset(queue, reason);
    });
    host.on('error', (error) => {
      this.#fail(error);
    });
    this.#poll.add(device.fd, EPOLLIN, DEVICE);
    this.#poll.add(this.#wake, EPOLLIN, WAKE);
  }

  get state(): ServerState {
    return this.#state;
  }

  /** The configuration space, as drivers read it. */
  get config(): Uint8Array {
    return this.#config.slice();
  }

  /** Whether a thread has not ended, being stuck in a system call: the process must be ended without it. */
  get stuck(): boolean {
    return this.#host.stuck || this.#backingStuck;
  }

  /** What the server knows of the device now. */
  status(): ServerStatus {
    const { deviceId, queueCount, queueSize } = this.#identity;
    return {
      name: this.name,
      state: this.#state,
      attached: isAttached(this.name),
      driverStatus: this.#driverStatus,
      deviceId,
      features: this.#features,
      queueSize,
      ...this.#stalled(),
      queues: Array.from({ length: queueCount }, (_, index) => {
        const counters = QueueCounters.at(this.#counters, index);
        return { state: counters.state, ...counters.read() };
      }),
    };
  }

  #stalled(): Pick<ServerStatus, 'stalledSeconds'> {
    if (!this.#backing) return {};
    const stalled = Math.max(this.#backing.stalledMs, this.#host.look());
    return stalled < STALLED_MS ? {} : { stalledSeconds: Math.floor(stalled / 1000) };
  }

  /** Writes to the configuration space and tells the driver that it has changed. @throws SystemError */
  changeConfig(offset: number, bytes: Uint8Array): void {
    this.#config.set(bytes, offset);
    // EPERM: the kernel has given the device up, and nobody reads its configuration any more.
    ignoring([Errno.EPERM], () => {
      this.#device.setConfig(offset, bytes);
    });
    this.#interruptForConfig();
  }

  /**
   * The driver has broken a ring. The specification has the device say so by a bit of its status and an interrupt; VDUSE
   * has no way to set the bit, so it shows in {@link status} only.
   */
  #needReset(queue: number, reason: string): void {
    this.#driverStatus |= VIRTIO_CONFIG_S_NEEDS_RESET;
    this.emit('broken', queue, reason);
    this.#interruptForConfig();
  }

  #interruptForConfig(): void {
    // EINVAL: a driver that does not run the device reads the configuration when it begins to. EPERM: there is none.
    ignoring([Errno.EINVAL, Errno.EPERM], () => {
      this.#device.interruptForConfig();
    });
  }

  /** Gives every data plane a change of the module's own kind. */
  change(change: unknown): void {
    this.#host.change(change);
  }

  /**
   * Ends the service: what was begun is completed, the data planes are closed, the instance is destroyed.
   * @param keep leave the instance, for another server to take over
   * @throws SystemError: EBUSY while the device is still on the vdpa bus; it is not served any more all the same
   */
  async stop({ keep = false } = {}): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#ending = true;
    signalEventfd(this.#wake);
    await this.#loop;
    await this.#host.exit();
    clearInterval(this.#looking);
    // What a stuck thread may still use is not closed: its descriptor would become another file's.
    if (this.#backing && !this.#host.stuck) this.#backingStuck = !(await this.#backing.close());
    this.#setState('stopped');
    this.#poll.close();
    close(this.#wake);
    this.#device.close();
    if (keep) return;
    const control = new VduseControl();
    try {
      control.destroy(this.name);
    } finally {
      control.close();
    }
  }

  async #serve(): Promise<void> {
    try {
      while (!this.#ending) {
        await readable(this.#poll.fd);
        this.#poll.wait(0);
        for (let index = 0; index < this.#poll.count; index++) {
          if (this.#poll.tag(index) !== DEVICE) continue;
          if ((this.#poll.events(index) & EPOLLERR) !== 0) {
            this.#poll.remove(this.#device.fd);
            await this.#host.stop();
            this.#setState('broken');
          }
        }
        if (this.#state !== 'broken') await this.#answerAll();
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #answerAll(): Promise<void> {
    for (let request = this.#device.readRequest(); request; request = this.#device.readRequest()) {
      const after = await this.#answer(request);
      if (after) await after();
    }
  }

  /** Answers a request. @returns what is to be done when the kernel has the answer */
  async #answer(request: Request): Promise<(() => void | Promise<void>) | undefined> {
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
        await this.#host.invalidate(request.start, request.last);
        respond({ ok: true });
        return undefined;
      case 'set-group-asid':
        respond({ ok: request.group === 0 && request.asid === 0 });
        return undefined;
      case 'set-queue-ready':
        return this.#setQueueReady(request.queue, request.ready, respond);
      case 'suspend':
        await this.#host.stop();
        this.#started.clear();
        if (this.#state === 'running') this.#setState('suspended');
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
      await this.#host.stop();
      this.#started.clear();
      this.#driverStatus = 0;
      this.#unknownPast = false;
      for (let queue = 0; queue < this.#identity.queueCount; queue++) {
        QueueCounters.at(this.#counters, queue).usedIndex = undefined;
      }
      this.#features = 0n;
      this.#setState('idle');
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

  /** Lets the data threads serve the queues that the driver has made ready. */
  #run(resume: boolean): void {
    const queues = [];
    for (let index = 0; index < this.#identity.queueCount; index++) {
      const info = this.#device.queueInfo(index);
      const begin = resume ? undefined : info.availableIndex;
      const setup = queueSetup(index, info, this.#features, this.#identity.queueSize, begin);
      if (setup === 'not ready') continue;
      if (setup === 'invalid') {
        this.#needReset(index, 'its size or its place in memory cannot be');
        continue;
      }
      queues.push(setup);
      this.#started.add(index);
    }
    this.#host.run(this.#features, queues);
    this.#setState('running');
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
      await this.#host.stopQueue(index);
      this.#started.delete(index);
      respond({ ok: true });
      return undefined;
    }
    respond({ ok: true });
    return async () => {
      for (let waited = 0; waited < READY_WAIT_MS; waited++) {
        const info = this.#device.queueInfo(index);
        // The kernel lets no driver move the index while the device runs: one that was disabled goes on where it was.
        const begin = QueueCounters.at(this.#counters, index).usedIndex ?? info.availableIndex;
        const setup = queueSetup(index, info, this.#features, this.#identity.queueSize, begin);
        if (typeof setup === 'object') {
          this.#host.runQueue(setup);
          this.#started.add(index);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      this.#needReset(index, 'its size or its place in memory cannot be');
    };
  }

  /** The available index at which the device goes on in a queue. */
  #queueState(queue: number): Answer {
    if (queue >= this.#identity.queueCount) return { ok: false };
    const { state, usedIndex } = QueueCounters.at(this.#counters, queue);
    if (usedIndex !== undefined) return { ok: true, queueState: { queue, availableIndex: usedIndex } };
    // Served, from where the last server had come, and the ring that says so is not there; or suspended when the last server
    // had it: how far the device has come nobody knows.
    if (state !== 'stopped' || this.#unknownPast) return { ok: false };
    const { availableIndex } = this.#device.queueInfo(queue);
    return { ok: true, queueState: { queue, availableIndex } };
  }

  /** Goes on where another server has ended. @param features what the driver runs the device with */
  #resume(features: bigint): void {
    this.#features = features;
    this.#driverStatus = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
    this.#run(true);
  }

  #setState(state: ServerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit('state', state);
  }

  #fail(error: Error): void {
    this.#ending = true;
    signalEventfd(this.#wake);
    this.emit('error', error);
  }
}

/** Calls something that may fail with one of these error numbers. @throws what else it throws */
function ignoring(errnos: readonly number[], call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof SystemError && errnos.includes(error.errno))) throw error;
  }
}
