import { EventEmitter } from 'node:events';
import { allowedProcessors, onlineProcessors } from '../sys/affinity.js';
import { EPOLLERR, EPOLLIN, EventPoll, openEventfd, signalEventfd } from '../sys/events.js';
import { Errno } from '../sys/errno.js';
import { ignoring } from '../sys/error.js';
import { close } from '../sys/libc.js';
import { readable } from '../sys/readable.js';
import { startWithin, type WaitOptions } from '../sys/wait.js';
import { VduseControl, type DeviceIdentity } from './kernel/control.js';
import { QueueCounters } from './engine/counters.js';
import type { DataPlaneModule } from './engine/data-plane.js';
import { DataPlaneHost } from './engine/host.js';
import { missingLog, type InflightFile } from './engine/inflight-file.js';
import { hasFeature, VIRTIO_F_RING_PACKED } from './engine/negotiation.js';
import { VduseDevice } from './kernel/device.js';
import { DriverSession } from './engine/driver-session.js';
import { isAttached, probeInstance } from './engine/takeover.js';
import { checkCpus } from './spec/processors.js';
import { checkDeviceName } from './kernel/name.js';
import type { ServerState, ServerStatus } from './engine/status.js';

/** A resource of the data planes that may hang. */
export interface Backing {
  /** How long it has not responded, in milliseconds. */
  readonly stalledMs: number;
  /**
   * Called when no data plane uses it any longer. @returns false if that takes too long: it continues on a thread of
   * its own
   */
  close(): Promise<boolean>;
}

/**
 * Options of a server. The time limit, none by default, and the signal are for its start: a server that is ready later
 * is stopped.
 */
export interface ServerOptions extends WaitOptions {
  readonly name: string;
  readonly identity: DeviceIdentity;
  readonly dataPlane: DataPlaneModule;
  /** Number of threads, among which the queues are distributed. 1 by default. */
  readonly threads?: number;
  /**
   * Processors that the threads run on: the first thread on the first, and so on, from the first again if there are
   * more threads. All that the process may use by default.
   */
  readonly cpus?: readonly number[];
  /** Number of consecutive queues that the same thread serves. 1 by default. */
  readonly queueGroup?: number;
  /** Takes over the existing instance of that name, whose server has ended. */
  readonly takeOver?: boolean;
  /** The log of the chains in flight, for the server that takes over. It remains the caller's. */
  readonly inflight?: Pick<InflightFile, 'open'>;
  /** Closed when the server stops; if the server does not start, the caller keeps it. */
  readonly backing?: Backing;
}

/** The events of a server. */
export interface ServerEvents {
  /** The state has changed. */
  state: [ServerState];
  /** A driver has broken a ring; the queue is stopped until the device is reset. */
  broken: [queue: number, reason: string];
  /** The server has failed. */
  error: [Error];
}

/** Interval for checking whether the resource of the data planes responds; shorter delays may go unnoticed. */
const PROGRESS_CHECK_MS = 1000;
const STALLED_MS = 2000;

const DEVICE = 0;
const WAKE = 1;

/**
 * The server of a VDUSE device. It creates the instance, answers requests of the kernel, and starts and stops the data
 * threads for the driver. It runs in the main thread and never touches guest memory, so that it can always answer.
 */
export class VduseServer<Change = never> extends EventEmitter<ServerEvents> implements AsyncDisposable {
  readonly name: string;
  readonly #identity: DeviceIdentity;
  readonly #config: Uint8Array;
  readonly #device: VduseDevice;
  readonly #host: DataPlaneHost;
  readonly #driver: DriverSession;
  readonly #counters: SharedArrayBuffer;
  readonly #poll = new EventPoll();
  readonly #wake = openEventfd();
  #loop: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #ending = false;
  readonly #backing: Backing | undefined;
  #backingStuck = false;
  #progressTimer: NodeJS.Timeout | undefined;

  /**
   * Creates the instance and its data threads, and starts to answer. The device can then be attached to the vdpa bus.
   * If a step fails, the previous ones are undone.
   * @throws DeviceNameError; SystemError, with ETIMEDOUT after the time limit; VduseError if a data thread ends early;
   * errors from creating the data plane; the reason of the signal
   */
  static start<Change = never>(options: ServerOptions): Promise<VduseServer<Change>> {
    return startWithin(
      () => VduseServer.#start<Change>(options),
      (server) => server.stop(),
      options,
      `serve ${options.name}`,
    );
  }

  static async #start<Change>(options: ServerOptions): Promise<VduseServer<Change>> {
    checkDeviceName(options.name);
    if (options.cpus) checkCpus(options.cpus, { allowed: allowedProcessors(), online: onlineProcessors() });
    const control = new VduseControl();
    try {
      if (options.takeOver !== true) control.create(options.name, options.identity);
      try {
        return await VduseServer.#open<Change>(options);
      } catch (error) {
        if (options.takeOver !== true) control.destroy(options.name);
        throw error;
      }
    } finally {
      control.close();
    }
  }

  static async #open<Change>(options: ServerOptions): Promise<VduseServer<Change>> {
    const { identity } = options;
    const device = options.takeOver === true ? VduseDevice.open(options.name) : await VduseDevice.openNew(options.name);
    let host: DataPlaneHost | undefined;
    let server: VduseServer<Change> | undefined;
    try {
      const counters = QueueCounters.allocate(identity.queueCount);
      const resumed = options.takeOver === true ? probeInstance(device, options.name, identity) : undefined;
      if (resumed === undefined) {
        for (let queue = 0; queue < identity.queueCount; queue++) device.setUpQueue(queue, identity.queueSize);
      }
      const { queueCount, queueSize } = identity;
      const packed = hasFeature(identity.features, VIRTIO_F_RING_PACKED);
      if (packed && resumed !== undefined && options.inflight === undefined) throw missingLog();
      host = await DataPlaneHost.start({
        device,
        counters,
        module: options.dataPlane,
        queueCount,
        queueSize,
        packed,
        threads: Math.min(options.threads ?? 1, identity.queueCount / (options.queueGroup ?? 1)),
        queueGroup: options.queueGroup ?? 1,
        cpus: options.cpus,
        inflight: options.inflight?.open({ queueCount, queueSize, packed }, resumed !== undefined),
      });
      server = new VduseServer<Change>(options, device, host, counters);
      // The configuration of this server may be newer than that of the last one.
      if (options.takeOver === true) server.changeConfig(0, identity.config);
      if (resumed !== undefined) server.#driver.resume(resumed);
      server.#loop = server.#serve();
      return server;
    } catch (error) {
      await host?.exit();
      if (server) server.#release();
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
    if (options.backing) this.#progressTimer = setInterval(() => host.serviceTimeMs(), PROGRESS_CHECK_MS).unref();
    this.#driver = new DriverSession({
      device,
      identity: options.identity,
      host,
      counters,
      unknownPast: options.takeOver === true && device.driverFeatures() !== 0n,
      onState: (state) => this.emit('state', state),
      onBroken: (queue, reason) => this.emit('broken', queue, reason),
    });
    host.on('broken', (queue, reason) => {
      this.#driver.needReset(queue, reason);
    });
    host.on('error', (error) => {
      this.#fail(error);
    });
    this.#poll.add(device.fd, EPOLLIN, DEVICE);
    this.#poll.add(this.#wake, EPOLLIN, WAKE);
  }

  get state(): ServerState {
    return this.#driver.state;
  }

  /** The configuration space, as drivers read it. */
  get config(): Uint8Array {
    return this.#config.slice();
  }

  /** Whether a thread has not ended because it is blocked in a system call: the process must end without it. */
  get stuck(): boolean {
    return this.#host.stuck || this.#backingStuck;
  }

  /** The current status of the device. */
  status(): ServerStatus {
    const { deviceId, queueCount, queueSize } = this.#identity;
    return {
      name: this.name,
      state: this.state,
      attached: isAttached(this.name),
      driverStatus: this.#driver.driverStatus,
      deviceId,
      features: this.#driver.features,
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
    const stalled = Math.max(this.#backing.stalledMs, this.#host.serviceTimeMs());
    return stalled < STALLED_MS ? {} : { stalledSeconds: Math.floor(stalled / 1000) };
  }

  /** Writes to the configuration space and notifies the driver, unless the service ends. @throws SystemError */
  changeConfig(offset: number, bytes: Uint8Array): void {
    if (this.#ending) return;
    this.#config.set(bytes, offset);
    // EPERM: the kernel has given up the device, and its configuration is no longer read.
    ignoring([Errno.EPERM], () => {
      this.#device.setConfig(offset, bytes);
    });
    this.#device.notifyConfigChange();
  }

  /** Sends every data plane a change. */
  change(change: Change): void {
    this.#host.change(change);
  }

  /**
   * Stops the service: requests in progress are completed, the data planes closed, and the instance destroyed.
   * Further calls wait for the same end.
   * @param keep keep the instance, for another server to take over
   * @throws SystemError: EBUSY while the device is still on the vdpa bus; it is no longer served nevertheless
   */
  stop({ keep = false } = {}): Promise<void> {
    this.#stopping ??= this.#stop(keep);
    return this.#stopping;
  }

  async #stop(keep: boolean): Promise<void> {
    this.#ending = true;
    signalEventfd(this.#wake);
    this.#host.abandon();
    await this.#loop;
    await this.#host.exit();
    // Descriptors that a blocked thread may still use are not closed: they would become those of another file.
    if (this.#backing && !this.#host.stuck) this.#backingStuck = !(await this.#backing.close());
    this.#driver.enter('stopped');
    this.#release();
    this.#device.close();
    if (keep) return;
    const control = new VduseControl();
    try {
      control.destroy(this.name);
    } finally {
      control.close();
    }
  }

  /** As {@link stop}, at the end of the block of `await using`: the device must not be on the vdpa bus any longer. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Frees everything besides the device and its data threads. */
  #release(): void {
    clearInterval(this.#progressTimer);
    this.#poll.close();
    close(this.#wake);
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
            await this.#host.stop({ reset: true });
            this.#driver.enter('broken');
          }
        }
        if (this.state !== 'broken') await this.#answerAll();
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #answerAll(): Promise<void> {
    for (let request = this.#device.readRequest(); request; request = this.#device.readRequest()) {
      const after = await this.#driver.answer(request);
      if (after) await after();
    }
  }

  #fail(error: Error): void {
    this.#ending = true;
    signalEventfd(this.#wake);
    this.emit('error', error);
  }
}
