import { isDeepStrictEqual } from 'node:util';
import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { VdpaBus } from '../sysfs/bus.js';
import { openUevents, parseUevent, type Uevent } from '../uevent/uevent.js';
import type { VdpaClient } from '../vdpa/client.js';
import { formatHandle, type ManagementDevice } from '../vdpa/model.js';
import { DeviceWatch } from './device-watch.js';
import type { Happening, VdpaEvent } from './events.js';

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
  readonly #devices: DeviceWatch;
  #managementDevices: ReadonlyMap<string, ManagementDevice>;
  #closed = false;

  private constructor(
    options: MonitorOptions,
    transport: NetlinkTransport,
    managementDevices: ReadonlyMap<string, ManagementDevice>,
  ) {
    this.#transport = transport;
    this.#client = options.client;
    this.#object = options.object;
    this.#devices = new DeviceWatch(options.bus ?? new VdpaBus());
    this.#managementDevices = managementDevices;
  }

  /**
   * Begins to listen. What happens from now on is kept until it is asked for.
   * @throws NetlinkError where the kernel gives no socket or refuses to tell; SystemError where sysfs cannot be read
   */
  static async open(options: MonitorOptions): Promise<VdpaMonitor> {
    const transport = options.transport ?? (await openUevents());
    try {
      return new VdpaMonitor(options, transport, await listManagementDevices(options.client));
    } catch (error) {
      await transport.close();
      throw error;
    }
  }

  /** Events as they come, without end, until {@link close} is called. */
  async *[Symbol.asyncIterator](): AsyncGenerator<VdpaEvent> {
    // Whether something came or went that management devices may be made of.
    let stale = false;
    while (!this.#closed) {
      const received = await this.#receive(stale ? settleMs : waitMs);
      if (received === 'lost') {
        yield stamp({ object: 'monitor', event: 'lost' });
        if (this.#object !== 'mgmtdev') for (const happening of this.#devices.catchUp()) yield stamp(happening);
        stale = true;
      } else if (received !== 'nothing') {
        const happening = this.#object === 'mgmtdev' ? undefined : this.#devices.read(received);
        if (happening) yield stamp(await this.#withDevice(happening));
        stale ||= parentSubsystems.has(received.subsystem);
      } else if (stale) {
        stale = false;
        if (this.#object !== 'dev') for (const happening of await this.#compare()) yield stamp(happening);
      }
    }
  }

  /** Ends the iteration and gives the socket back. */
  async close(): Promise<void> {
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
  async #withDevice(happening: Happening): Promise<Happening> {
    if (happening.object !== 'dev' || happening.event !== 'added') return happening;
    try {
      return { ...happening, device: await this.#client.device(happening.name) };
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === Errno.ENODEV) return happening;
      throw error;
    }
  }

  /** What is different about the management devices. */
  async #compare(): Promise<Happening[]> {
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

function stamp(happening: Happening): VdpaEvent {
  return { ...happening, time: Math.floor((performance.timeOrigin + performance.now()) * 1000) };
}
