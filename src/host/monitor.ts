import { isDeepStrictEqual } from 'node:util';
import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { VdpaBus } from '../sysfs/bus.js';
import { openUevents, parseUevent, type Uevent } from '../uevent/uevent.js';
import type { VdpaClient } from '../vdpa/client.js';
import { formatHandle, type ManagementDevice, type VdpaDevice } from '../vdpa/model.js';
import { DeviceStates, differences, stateOf, type DeviceState } from './device-states.js';
import { DeviceWatch } from './device-watch.js';
import type { UntimedEvent, VdpaEvent } from './events.js';

/** Options of a monitor. */
export interface MonitorOptions {
  readonly client: Pick<VdpaClient, 'device' | 'managementDevices'>;
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
 * Reports the events of devices since it was opened: events of the kernel, with their meaning for vDPA.
 *
 * Management devices have no events of their own; they are queried again when a possible parent is added or removed.
 *
 * @example
 * const monitor = await VdpaMonitor.open({ client });
 * for await (const event of monitor) console.log(event.object, event.event);
 */
export class VdpaMonitor implements AsyncIterable<VdpaEvent> {
  readonly #transport: NetlinkTransport;
  readonly #client: MonitorOptions['client'];
  readonly #object: MonitorOptions['object'];
  readonly #bus: VdpaBus;
  readonly #devices: DeviceWatch;
  readonly #states = new DeviceStates();
  #managementDevices: ReadonlyMap<string, ManagementDevice>;
  /** The sequence number of the last event before the devices were read again; undefined if it is unknown. */
  #caughtUpTo: bigint | undefined;
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
  }

  /**
   * Starts listening. Events from now on are kept until they are read.
   * @throws NetlinkError if the kernel provides no socket or no events; SystemError if sysfs cannot be read
   */
  static async open(options: MonitorOptions): Promise<VdpaMonitor> {
    const transport = options.transport ?? (await openUevents());
    try {
      const monitor = new VdpaMonitor(options, transport, await listManagementDevices(options.client));
      for (const name of monitor.#bus.names()) monitor.#states.set(name, await monitor.#stateOf(name));
      return monitor;
    } catch (error) {
      await transport.close();
      throw error;
    }
  }

  /**
   * Yields events endlessly, until {@link close} is called. Leaving the loop closes the monitor.
   * @throws NetlinkError, SystemError
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<VdpaEvent> {
    try {
      yield* this.#events();
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
        const happening = this.#isNews(received) ? this.#devices.read(received) : undefined;
        if (happening) yield this.#tell(await this.#withDevice(happening));
        stale ||= parentSubsystems.has(received.subsystem);
      } else if (overrun) {
        overrun = false;
        stale = true;
        if (this.#object !== 'mgmtdev') yield* this.#catchUp();
      } else if (stale) {
        stale = false;
        if (this.#object !== 'dev') for (const happening of await this.#compare()) yield stamp(happening);
      }
    }
  }

  /** Reports the differences between the devices and the events reported so far. */
  async *#catchUp(): AsyncGenerator<VdpaEvent> {
    // Events before this number are covered by the data read below, and may still arrive.
    this.#caughtUpTo = readSequenceNumber(this.#bus);
    for (const happening of [...this.#devices.catchUp()]) yield this.#tell(await this.#withDevice(happening));
    for (const name of this.#bus.names()) {
      for (const happening of differences(name, this.#states.get(name), await this.#stateOf(name))) {
        yield this.#tell(happening);
      }
    }
  }

  /** Whether an event reports something new. */
  #isNews({ action, devpath, subsystem, variables }: Uevent): boolean {
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

  #tell(happening: UntimedEvent): VdpaEvent {
    this.#states.note(happening);
    return stamp(happening);
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

  async #receive(timeoutMs: number): Promise<Uevent | 'nothing' | 'lost'> {
    try {
      return parseUevent(await this.#transport.receive(timeoutMs));
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno === Errno.ETIMEDOUT || this.#closed) return 'nothing';
      if (error.errno === Errno.ENOBUFS) return 'lost';
      throw error;
    }
  }

  /** Adds the kernel's data of a new device. */
  async #withDevice(happening: UntimedEvent): Promise<UntimedEvent> {
    if (happening.object !== 'dev' || happening.event !== 'added') return happening;
    const device = await this.#deviceIfThere(happening.name);
    return device ? { ...happening, device } : happening;
  }

  async #deviceIfThere(name: string): Promise<VdpaDevice | undefined> {
    try {
      return await this.#client.device(name);
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
    const now = await listManagementDevices(this.#client);
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

async function listManagementDevices(client: MonitorOptions['client']): Promise<ReadonlyMap<string, ManagementDevice>> {
  return new Map((await client.managementDevices()).map((device) => [formatHandle(device), device]));
}

/** The sequence number of the last event of the kernel. */
function readSequenceNumber({ files }: VdpaBus): bigint | undefined {
  const text = files.text('/sys/kernel/uevent_seqnum');
  return text !== undefined && /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

function stamp(happening: UntimedEvent): VdpaEvent {
  return { ...happening, time: Math.floor((performance.timeOrigin + performance.now()) * 1000) };
}
