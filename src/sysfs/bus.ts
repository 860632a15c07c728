/**
 * The vdpa bus in sysfs: the driver of each device, and its names on the machine. The layout is that of
 * drivers/vdpa/vdpa.c and drivers/vhost/vdpa.c.
 */
import { dirname } from 'node:path';
import { readBusInfo } from '../sys/ethtool.js';
import type { ReadInterfaceUses } from './interface-users.js';
import { LocalFiles, type MachineFiles } from './machine-files.js';
import { findVirtio, type BusInfo, type DeviceFolder, type VirtioDevice } from './virtio-device.js';

const busFolder = '/sys/bus/vdpa';

/** The driver that creates /dev/vhost-vdpa-N. */
export const VHOST_VDPA = 'vhost_vdpa';
/** The driver that creates a virtio device on this machine. */
export const VIRTIO_VDPA = 'virtio_vdpa';

/** The class of VDUSE instances, the parents of their devices. */
export const VDUSE_CLASS = 'vduse';

/** The parent of a device: `pci/0000:03:00.2`, `auxiliary/mlx5_core.vnet.2`, `vduse/foo0`. */
export interface ParentDevice {
  /** Its bus or class. */
  readonly subsystem: string;
  readonly name: string;
}

/** The machine's data of a device on the vdpa bus; with virtio_vdpa, also of its virtio device. */
export interface BusDevice extends Partial<VirtioDevice> {
  readonly name: string;
  /** The name in sysfs of the driver bound to it; absent if there is none. */
  readonly driver?: string;
  /** The only driver that may bind to it; absent if any may. */
  readonly driverOverride?: string;
  /** With vhost_vdpa: the name of its character device, `vhost-vdpa-0`. */
  readonly vhost?: string;
  /** With virtio_vdpa, if it is not certain which one is its virtio device: the candidates. */
  readonly virtioCandidates?: readonly VirtioDevice[];
  /** Its parent; absent for devices of the simulators, which have none. */
  readonly parent?: ParentDevice;
  /** The PCI function that it belongs to, at any level above it: `0000:03:00.2`. */
  readonly pci?: string;
  /** The nearest NUMA node; absent if the machine does not report one. */
  readonly numaNode?: number;
}

const readLocalUses: ReadInterfaceUses = async (index) =>
  (await import('../rtnetlink/interface-uses.js')).readInterfaceUses(index);

const readNoUses: ReadInterfaceUses = () => Promise.resolve({ addresses: [], routes: [] });

/** The vdpa bus of a machine. Every method throws SystemError if a file cannot be read. */
export class VdpaBus {
  readonly files: MachineFiles;

  /** The addresses and routes of an interface. */
  readonly interfaceUses: ReadInterfaceUses;

  readonly #busInfo: BusInfo;

  /**
   * @param files by default those of this machine
   * @param busInfo returns the parent that an interface reports: by ioctl(2) on this machine; none if other files are
   * given
   * @param interfaceUses by rtnetlink on this machine; none if other files are given
   */
  constructor(
    files?: MachineFiles,
    busInfo: BusInfo = files === undefined ? readBusInfo : (): undefined => undefined,
    interfaceUses: ReadInterfaceUses = files === undefined ? readLocalUses : readNoUses,
  ) {
    this.files = files ?? new LocalFiles();
    this.#busInfo = busInfo;
    this.interfaceUses = interfaceUses;
  }

  /** Whether the kernel has a vdpa bus. */
  get present(): boolean {
    return this.files.exists(busFolder);
  }

  /** The names of all devices, in order. */
  names(): string[] {
    return this.files.list(`${busFolder}/devices`);
  }

  /** The directory of each device in sysfs, without links: `/sys/devices/foo0`. */
  folders(): DeviceFolder[] {
    return this.names().flatMap((name) => {
      const folder = this.files.real(deviceFolder(name));
      return folder === undefined ? [] : [{ name, folder }];
    });
  }

  /** All devices. */
  devices(): BusDevice[] {
    return this.names().flatMap((name) => this.device(name) ?? []);
  }

  /** The available drivers. */
  drivers(): string[] {
    return this.files.list(`${busFolder}/drivers`);
  }

  /** A device by name; undefined if it does not exist. */
  device(name: string): BusDevice | undefined {
    const real = isFileName(name) ? this.files.real(deviceFolder(name)) : undefined;
    if (real === undefined) return undefined;
    const driver = this.files.linkName(`${real}/driver`);
    const driverOverride = this.driverOverride(name);
    const parts = this.files.list(real);
    const vhost = parts.find((part) => /^vhost-vdpa-[0-9]+$/.test(part));
    return {
      name,
      ...(driver !== undefined && { driver }),
      ...(driverOverride !== undefined && { driverOverride }),
      ...(vhost !== undefined && { vhost }),
      ...(driver === VIRTIO_VDPA && this.#virtioPart({ name, folder: real })),
      ...this.#ancestry(dirname(real)),
    };
  }

  /** The only driver that may bind to a device. */
  driverOverride(name: string): string | undefined {
    const text = this.files.text(`${deviceFolder(name)}/driver_override`);
    // The kernel's notation for none.
    return text === '(null)' || text === '' ? undefined : text;
  }

  #virtioPart(device: DeviceFolder): Partial<BusDevice> {
    const found = findVirtio(this.files, device, () => this.#boundTo(VIRTIO_VDPA), this.#busInfo);
    if (!found) return {};
    return found.kind === 'found' ? found.device : { virtioCandidates: found.candidates };
  }

  #boundTo(driver: string): DeviceFolder[] {
    return this.folders().filter(({ folder }) => this.files.linkName(`${folder}/driver`) === driver);
  }

  /** The ancestors of a device. */
  #ancestry(folder: string): Pick<BusDevice, 'parent' | 'pci' | 'numaNode'> {
    let parent: ParentDevice | undefined;
    let pci: string | undefined;
    let numaNode: number | undefined;
    for (let at = folder; at.startsWith('/sys/devices/'); at = dirname(at)) {
      const subsystem = this.files.linkName(`${at}/subsystem`);
      if (subsystem === undefined) continue; // A directory that only groups devices.
      const name = at.slice(at.lastIndexOf('/') + 1);
      parent ??= { subsystem, name };
      if (subsystem === 'pci') pci ??= name;
      const node = Number(this.files.text(`${at}/numa_node`) ?? -1);
      if (node >= 0) numaNode ??= node;
    }
    return {
      ...(parent && { parent }),
      ...(pci !== undefined && { pci }),
      ...(numaNode !== undefined && { numaNode }),
    };
  }
}

/** The directory of a device. {@link isFileName} must accept the name. */
export function deviceFolder(name: string): string {
  return `${busFolder}/devices/${name}`;
}

/** The directory of a driver. {@link isFileName} must accept the name. */
export function driverFolder(driver: string): string {
  return `${busFolder}/drivers/${driver}`;
}

/** Whether a name from outside is valid as a single component of a path, and does not lead out of its directory. */
export function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** The name of a device in sysfs: the kernel replaces slashes, which would split its path, by exclamation marks. */
export function sysfsName(name: string): string {
  return name.replaceAll('/', '!');
}

/** The full name of a driver that may be abbreviated: `vhost` and `virtio`. */
export function driverName(name: string): string {
  return name === 'vhost' || name === 'virtio' ? `${name}_vdpa` : name;
}
