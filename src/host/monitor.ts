import { isDeepStrictEqual } from 'node:util';
import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { monotonicMs } from '../sys/clock.js';
import { abortable, type WaitOptions } from '../sys/wait.js';
import { VdpaBus } from '../sysfs/bus.js';
import { openUevents, parseUevent, type Uevent } from '../uevent/uevent.js';
import type { ManagementDevice, VdpaDevice } from '../vdpa/model.js';
import { DeviceStates, differences, stateOf, type DeviceState } from './device-states.js';
import { DeviceWatch } from './device-watch.js';
import type { UntimedEvent, VdpaEvent } from './events.js';

/** What a monitor asks the kernel. */
export interface MonitorClient {
  device(name: string, options?: WaitOptions): Promise<VdpaDevice>;
  managementDevices(options?: WaitOptions): Promise<ManagementDevice[]>;
}

/**
 * Options of a monitor. Its time limit is for the next event, none by default. Its signal ends the iteration, which
 * throws the reason of the signal.
 */
export interface MonitorOptions extends WaitOptions {
  /** A VdpaClient. */
  readonly client: MonitorClient;
  /** By default that of this machine. */
  readonly bus?: VdpaBus;
  /** Only the events of one kind of object; both kinds by default. */
  readonly object?: 'dev' | 'mgmtdev';
  /** The source of kernel events; by default the kernel of this machine. */
  readonly transport?: NetlinkTransport;
}

/** Quiet period before management devices are queried again, in milliseconds. */
const settleMs = 50;

/** How long to wait for remaining data of a socket, in milliseconds. */
const drainMs = 1;

/** Duration of one wait for an event, in milliseconds. */
const waitMs = 60_000;

/** Devices whose addition and removal may add and remove management devices: drivers create them for these. */
const parentSubsystems: ReadonlySet<string> = new Set(['pci', 'auxiliary', 'module', 'misc', 'vduse', 'platform']);

/**
 * Reports the events of devices since it was opened: events of the kernel, with their meaning for vDPA. `vdpa monitor`
 *
 * Management devices have no events of their own; they are queried again when a possible parent is added or removed.
 *
 * @example
 * await using monitor = await VdpaMonitor.open({ client, signal });
 * for await (const event of monitor) console.log(event.object, event.event);
 */
export class VdpaMonitor implements AsyncIterable<VdpaEvent>, AsyncDisposable {
  readonly #transport: NetlinkTransport;
  readonly #client: MonitorClient;
  readonly #object: MonitorOptions['object'];
  readonly #bus: VdpaBus;
  readonly #devices: DeviceWatch;
  readonly #states = new DeviceStates();
  #managementDevices: ReadonlyMap<string, ManagementDevice>;
  /** The sequence number of the last event before the devices were read again; undefined if it is unknown. */
  #caughtUpTo: bigint | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | undefined;
  /** When the next event was asked for. */
  #waitsSince = 0;
  #closed = false;

  private constructor(
    options: MonitorOptions,
    transport: NetlinkTransport,
    managementDevices: ReadonlyMap<string, ManagementDevice>,
  ) {
    this.#transport = transport;
    this.#client = options.client;
    this.#object = options.object;
    this.#bus = options.bus ?? new VdpaBus();
    this.#devices = new DeviceWatch(this.#bus);
    this.#managementDevices = managementDevices;
    this.#signal = options.signal;
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * Starts listening. Events from now on are kept until they are read.
   * @throws NetlinkError if the kernel provides no socket or no events; SystemError if sysfs cannot be read; the reason
   * of the signal if that is aborted
   */
  static async open(options: MonitorOptions): Promise<VdpaMonitor> {
    const transport = options.transport ?? (await openUevents());
    try {
      options.signal?.throwIfAborted();
      const { client, signal } = options;
      const monitor = new VdpaMonitor(options, transport, await listManagementDevices(client, signal));
      for (const name of monitor.#bus.names()) monitor.#states.set(name, await monitor.#stateOf(name));
      return monitor;
    } catch (error) {
      await transport.close();
      throw error;
    }
  }

  /**
   * Yields events endlessly, until {@link close} is called or the signal is aborted. Leaving the loop closes the
   * monitor.
   * @throws NetlinkError, with ETIMEDOUT if no event has arrived within the time limit; SystemError; the reason of the
   * signal
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<VdpaEvent, void, undefined> {
    try {
      this.#waitsSince = monotonicMs();
      for await (const event of this.#events()) {
        yield event;
        this.#waitsSince = monotonicMs();
      }
    } finally {
      await this.close();
    }
  }

  async *#events(): AsyncGenerator<VdpaEvent> {
    // Whether a possible parent of management devices was added or removed.
    let stale = false;
    // A full socket silently drops everything until its data has been read.
    let overrun = false;
    while (!this.#closed) {
      const received = await this.#receive(overrun ? drainMs : stale ? settleMs : waitMs);
      if (received === 'lost') {
        if (!overrun) yield stamp({ object: 'monitor', event: 'lost' });
        overrun = true;
      } else if (received !== 'nothing') {
        const untimed = this.#isNew(received) ? this.#devices.read(received) : undefined;
        if (untimed) yield this.#record(await this.#withDevice(untimed));
        stale ||= parentSubsystems.has(received.subsystem);
      } else if (overrun) {
        overrun = false;
        stale = true;
        if (this.#object !== 'mgmtdev') yield* this.#catchUp();
      } else if (stale) {
        stale = false;
        if (this.#object !== 'dev') for (const untimed of await this.#compare()) yield stamp(untimed);
      }
    }
  }

  /** Reports the differences between the devices and the events reported so far. */
  async *#catchUp(): AsyncGenerator<VdpaEvent> {
    // Events before this number are covered by the data read below, and may still arrive.
    this.#caughtUpTo = readSequenceNumber(this.#bus);
    for (const untimed of [...this.#devices.catchUp()]) yield this.#record(await this.#withDevice(untimed));
    for (const name of this.#bus.names()) {
      for (const untimed of differences(name, this.#states.get(name), await this.#stateOf(name))) {
        yield this.#record(untimed);
      }
    }
  }

  /** Whether an event reports something new. */
  #isNew({ action, devpath, subsystem, variables }: Uevent): boolean {
    if (this.#object === 'mgmtdev') return false;
    const number = variables.get('SEQNUM');
    if (this.#caughtUpTo === undefined || number === undefined || !/^[0-9]+$/.test(number)) return true;
    if (BigInt(number) > this.#caughtUpTo) return true;
    // The kernel reports the removal of an interface or disk shortly before it disappears from sysfs.
    const isPart = subsystem === 'net' || subsystem === 'block';
    return isPart && action === 'remove' && !this.#bus.files.exists(`/sys${devpath}`) && this.#isKnownPart(devpath);
  }

  #isKnownPart(devpath: string): boolean {
    const part = devpath.slice(devpath.lastIndexOf('/') + 1);
    return this.#bus.names().some((name) => {
      const { netdev, block } = this.#states.get(name);
      return netdev === part || block === part;
    });
  }

  #record(untimed: UntimedEvent): VdpaEvent {
    this.#states.record(untimed);
    return stamp(untimed);
  }

  async #stateOf(name: string): Promise<DeviceState> {
    return stateOf(this.#bus.device(name), await this.#deviceIfThere(name));
  }

  /** Ends the iteration and closes the socket. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#transport.close();
  }

  /** As {@link close}, at the end of the block of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #receive(timeoutMs: number): Promise<Uevent | 'nothing' | 'lost'> {
    this.#signal?.throwIfAborted();
    const limitMs = Math.min(timeoutMs, this.#remainingMs());
    try {
      const datagram = this.#transport.receive(limitMs);
      return parseUevent(datagram instanceof Uint8Array ? datagram : await abortable(datagram, this.#signal));
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno === Errno.ETIMEDOUT || this.#closed) return 'nothing';
      if (error.errno === Errno.ENOBUFS) return 'lost';
      throw error;
    }
  }

  /** The remaining time for the next event. @throws NetlinkError ETIMEDOUT if there is none */
  #remainingMs(): number {
    if (this.#timeoutMs === undefined) return Number.POSITIVE_INFINITY;
    const remaining = this.#waitsSince + this.#timeoutMs - monotonicMs();
    if (remaining > 0) return remaining;
    throw new NetlinkError({
      operation: 'wait for an event',
      errno: Errno.ETIMEDOUT,
      hint: `No event arrived within ${this.#timeoutMs / 1000} s`,
    });
  }

  /** Adds the kernel's data of a new device. */
  async #withDevice(untimed: UntimedEvent): Promise<UntimedEvent> {
    if (untimed.object !== 'dev' || untimed.event !== 'added') return untimed;
    const device = await this.#deviceIfThere(untimed.name);
    return device ? { ...untimed, device } : untimed;
  }

  async #deviceIfThere(name: string): Promise<VdpaDevice | undefined> {
    try {
      return await this.#client.device(name, this.#signal && { signal: this.#signal });
    } catch (error) {
      // A device without a management device is on the bus nevertheless.
      if (error instanceof NetlinkError && (error.errno === Errno.ENODEV || error.errno === Errno.EINVAL))
        return undefined;
      throw error;
    }
  }

  /** The differences of the management devices. */
  async #compare(): Promise<UntimedEvent[]> {
    const before = this.#managementDevices;
    const now = await listManagementDevices(this.#client, this.#signal);
    this.#managementDevices = now;
    const removed = [...before].filter(([handle]) => !now.has(handle));
    const seen = [...now].filter(([handle, device]) => !isDeepStrictEqual(device, before.get(handle)));
    return [
      ...removed.map(([, device]) => ({ object: 'mgmtdev' as const, event: 'removed' as const, device })),
      ...seen.map(([handle, device]) => ({
        object: 'mgmtdev' as const,
        event: before.has(handle) ? ('changed' as const) : ('added' as const),
        device,
      })),
    ];
  }
}

async function listManagementDevices(
  client: MonitorClient,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ManagementDevice>> {
  const devices = await client.managementDevices(signal && { signal });
  return new Map(devices.map((device) => [device.handle, device]));
}

/** The sequence number of the last event of the kernel. */
function readSequenceNumber({ files }: VdpaBus): bigint | undefined {
  const text = files.text('/sys/kernel/uevent_seqnum');
  return text !== undefined && /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

function stamp(untimed: UntimedEvent): VdpaEvent {
  return { ...untimed, time: Math.floor((performance.timeOrigin + performance.now()) * 1000) };
}
