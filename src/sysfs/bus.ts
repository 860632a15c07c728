/**
 * The vdpa bus as sysfs shows it: what each device is bound to, and under what names the machine knows it.
 * The layout is that of drivers/vdpa/vdpa.c and drivers/vhost/vdpa.c.
 */
import { dirname } from 'node:path';
import { readBusInfo } from '../sys/ethtool.js';
import { MachineFiles } from './machine-files.js';
import { findVirtio, type BusInfo, type Placed, type VirtioDevice } from './virtio-device.js';

const busFolder = '/sys/bus/vdpa';

/** The driver that gives /dev/vhost-vdpa-N. */
export const VHOST_VDPA = 'vhost_vdpa';
/** The driver that gives a virtio device of this machine. */
export const VIRTIO_VDPA = 'virtio_vdpa';

/** The class of VDUSE instances, on which their devices hang. */
export const VDUSE_CLASS = 'vduse';

/** A device that another hangs on: `pci/0000:03:00.2`, `auxiliary/mlx5_core.vnet.2`, `vduse/foo0`. */
export interface ParentDevice {
  /** The bus or class it is of. */
  readonly subsystem: string;
  readonly name: string;
}

/** What the machine knows of a device on the vdpa bus; with virtio_vdpa, what is known of its virtio device too. */
export interface BusDevice extends Partial<VirtioDevice> {
  readonly name: string;
  /** The driver bound to it, as sysfs spells it; absent where it has none. */
  readonly driver?: string;
  /** The only driver that may bind to it; absent where any may. */
  readonly driverOverride?: string;
  /** With vhost_vdpa: the name of its character device, `vhost-vdpa-0`. */
  readonly vhost?: string;
  /** With virtio_vdpa, where it is not certain which one is its virtio device: those that it may be. */
  readonly virtioCandidates?: readonly VirtioDevice[];
  /** What it hangs on; absent for the simulators' devices, which hang on nothing. */
  readonly parent?: ParentDevice;
  /** The PCI function that it belongs to, however far up: `0000:03:00.2`. */
  readonly pci?: string;
  /** The NUMA node that it is near; absent where the machine does not say. */
  readonly numaNode?: number;
}

/** The vdpa bus of a machine. Every method throws SystemError where a file cannot be read. */
export class VdpaBus {
  readonly files: MachineFiles;

  readonly #busInfo: BusInfo;

  /**
   * @param files this machine's where not given
   * @param busInfo what an interface says that it hangs on: by ioctl(2) on this machine; nothing where other files are given
   */
  constructor(files?: MachineFiles, busInfo: BusInfo = files === undefined ? readBusInfo : () => undefined) {
    this.files = files ?? new MachineFiles();
    this.#busInfo = busInfo;
  }

  /** Whether the kernel has a vdpa bus. */
  get present(): boolean {
    return this.files.exists(busFolder);
  }

  /** The names of all devices, in order. */
  names(): string[] {
    return this.files.list(`${busFolder}/devices`);
  }

  /** Where sysfs keeps each device, without links: `/sys/devices/foo0`. */
  folders(): Placed[] {
    return this.names().flatMap((name) => {
      const folder = this.files.real(deviceFolder(name));
      return folder === undefined ? [] : [{ name, folder }];
    });
  }

  /** All devices. */
  devices(): BusDevice[] {
    return this.names().flatMap((name) => this.device(name) ?? []);
  }

  /** The drivers that are there to be bound. */
  drivers(): string[] {
    return this.files.list(`${busFolder}/drivers`);
  }

  /** A device by name; undefined where there is none. */
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
    // How the kernel prints that there is none.
    return text === '(null)' || text === '' ? undefined : text;
  }

  #virtioPart(device: Placed): Partial<BusDevice> {
    const found = findVirtio(this.files, device, () => this.#boundTo(VIRTIO_VDPA), this.#busInfo);
    if (!found) return {};
    return found.kind === 'found' ? found.device : { virtioCandidates: found.candidates };
  }

  #boundTo(driver: string): Placed[] {
    return this.folders().filter(({ folder }) => this.files.linkName(`${folder}/driver`) === driver);
  }

  /** What lies above a device on the way to the root of all devices. */
  #ancestry(folder: string): Pick<BusDevice, 'parent' | 'pci' | 'numaNode'> {
    let parent: ParentDevice | undefined;
    let pci: string | undefined;
    let numaNode: number | undefined;
    for (let at = folder; at.startsWith('/sys/devices/'); at = dirname(at)) {
      const subsystem = this.files.linkName(`${at}/subsystem`);
      if (subsystem === undefined) continue; // A folder that only groups devices.
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

/** The folder of a device. The name must be one that {@link isFileName} accepts. */
export function deviceFolder(name: string): string {
  return `${busFolder}/devices/${name}`;
}

/** The folder of a driver. The name must be one that {@link isFileName} accepts. */
export function driverFolder(driver: string): string {
  return `${busFolder}/drivers/${driver}`;
}

/** Whether a name that came from outside can be one part of a path, and no way out of its folder. */
export function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** The name of a device in sysfs: the kernel puts an exclamation mark where a name has a slash, which would cut its path. */
export function sysfsName(name: string): string {
  return name.replaceAll('/', '!');
}

/** The whole name of a driver that may be written short: `vhost` and `virtio`. */
export function driverName(name: string): string {
  return name === 'vhost' || name === 'virtio' ? `${name}_vdpa` : name;
}
