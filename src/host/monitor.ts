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

/** What is to be watched. */
export interface MonitorOptions {
  readonly client: Pick<VdpaClient, 'device' | 'managementDevices'>;
  /** This machine's where absent. */
  readonly bus?: VdpaBus;
  /** Only the events of one kind of object; of both where absent. */
  readonly object?: 'dev' | 'mgmtdev';
  /** Where kernel events come from: this machine's kernel where absent. */
  readonly transport?: NetlinkTransport;
}

/** How long it is quiet before management devices are looked at again, in milliseconds. */
const settleMs = 50;

/** How long is waited for what a socket still has, in milliseconds. */
const drainMs = 1;

/** How long one wait for an event lasts, in milliseconds. */
const waitMs = 60_000;

/** Whose coming and going may bring and take management devices: drivers make them of these. */
const parentSubsystems: ReadonlySet<string> = new Set(['pci', 'auxiliary', 'module', 'misc', 'vduse', 'platform']);

/**
 * Tells what happens to devices from the moment it was opened: the kernel's events, with what they mean for vDPA.
 *
 * Management devices have no events of their own; they are looked at again when something they may be made of comes or
 * goes.
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
  /** The number of the last event that was made before the devices were looked at anew; undefined where it is not known. */
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
   * Begins to listen. What happens from now on is kept until it is asked for.
   * @throws NetlinkError where the kernel gives no socket or refuses to tell; SystemError where sysfs cannot be read
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
   * Events as they come, without end, until {@link close} is called. Whoever leaves the loop closes it: no more is told.
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
    // Whether something came or went that management devices may be made of.
    let stale = false;
    // A socket that was full takes nothing more, without a word, until all that it has is read.
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

  /** Tells what is different about the devices from what was told of them. */
  async *#catchUp(): AsyncGenerator<VdpaEvent> {
    // What was made before this is seen below, and may still be on its way here.
    this.#caughtUpTo = readSequenceNumber(this.#bus);
    for (const happening of [...this.#devices.catchUp()]) yield this.#tell(await this.#withDevice(happening));
    for (const name of this.#bus.names()) {
      for (const happening of differences(name, this.#states.get(name), await this.#stateOf(name))) {
        yield this.#tell(happening);
      }
    }
  }

  /** Whether an event tells of something that is not told already. */
  #isNews({ action, devpath, subsystem, words }: Uevent): boolean {
    if (this.#object === 'mgmtdev') return false;
    const number = words.get('SEQNUM');
    if (this.#caughtUpTo === undefined || number === undefined || !/^[0-9]+$/.test(number)) return true;
    if (BigInt(number) > this.#caughtUpTo) return true;
    // The kernel tells that an interface or disk goes shortly before it is gone from sysfs.
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

  /** Ends the iteration and gives the socket back. */
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

  /** Adds what the kernel tells of a device that came. */
  async #withDevice(happening: UntimedEvent): Promise<UntimedEvent> {
    if (happening.object !== 'dev' || happening.event !== 'added') return happening;
    const device = await this.#deviceIfThere(happening.name);
    return device ? { ...happening, device } : happening;
  }

  async #deviceIfThere(name: string): Promise<VdpaDevice | undefined> {
    try {
      return await this.#client.device(name);
    } catch (error) {
      // One that nobody manages is on the bus all the same.
      if (error instanceof NetlinkError && (error.errno === Errno.ENODEV || error.errno === Errno.EINVAL))
        return undefined;
      throw error;
    }
  }

  /** What is different about the management devices. */
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

/** The number of the last event that the kernel made. */
function readSequenceNumber({ files }: VdpaBus): bigint | undefined {
  const text = files.text('/sys/kernel/uevent_seqnum');
  return text !== undefined && /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

function stamp(happening: UntimedEvent): VdpaEvent {
  return { ...happening, time: Math.floor((performance.timeOrigin + performance.now()) * 1000) };
}
