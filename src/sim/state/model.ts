/** A simulated machine and its current state: the content of the state file. */
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import type { ServerEntry } from '../../vduse/spec/arguments.js';
import { isCardDriver, type CardDriver } from './card.js';
import type { Fault } from './fault.js';

/** A u64 as `0x…`: JSON numbers are exact only up to 2^53. */
export type Hex64 = `0x${string}`;

/** The driver on the vdpa bus that takes new devices: with virtio_vdpa the machine itself uses them. */
export type BusDriver = 'virtio_vdpa' | 'vhost_vdpa' | 'none';

/** A driver of the vdpa bus. */
export type BusDriverName = Exclude<BusDriver, 'none'>;

interface ManagementDeviceBase {
  /** `pci`, `auxiliary` …; absent for a device that is on no bus. */
  readonly bus?: string;
  readonly name: string;
  /** virtio device ids. */
  readonly classes: readonly number[];
  readonly max_vqs: number;
  readonly features: Hex64;
}

/** The driver of a management device. */
export type ManagementDriver = 'vdpasim_net' | 'vdpasim_blk' | 'vduse' | 'hardware' | CardDriver;

/** A management device of a simulator of the kernel or of VDUSE: its driver defines the rest. */
export interface SoftwareManagementDevice extends ManagementDeviceBase {
  readonly driver: 'vdpasim_net' | 'vdpasim_blk' | 'vduse';
}

/** The attributes of adding or changing a device. */
export type ConfigAttribute = 'mac' | 'mtu' | 'max_vqp' | 'device_features';

/** A vendor counter: a number that stays, or what it has when the driver starts the device and gains in each second. */
export type Counter = number | { readonly start?: number; readonly per_second: number };

/** A management device of hardware without a known driver, from its description. */
export interface HardwareManagementDevice extends ManagementDeviceBase {
  readonly driver: 'hardware';
  /** The attributes that `dev add` supports. */
  readonly config_attributes: readonly ConfigAttribute[];
  readonly vendor_id: number;
  readonly min_vq_size: number;
  readonly max_vq_size: number;
  /** Maximum number of devices. */
  readonly max_devices: number;
  /** The defaults of its devices. */
  readonly mac: string;
  readonly mtu: number;
  /** 512-byte sectors of a block device. */
  readonly capacity: number;
  /** Vendor counters of every virtqueue, if its driver has any. */
  readonly vstats?: Readonly<Record<string, Counter>>;
  readonly parent?: ParentState;
}

/** The device that the driver of hardware is bound to, a PCI function or an auxiliary device: what sysfs shows of it. */
export interface ParentState {
  /** The name of its driver in sysfs: `mlx5_core`, `vp-vdpa`. */
  readonly driver?: string;
  /** PCI IDs. */
  readonly vendor?: number;
  readonly device?: number;
  readonly numa_node?: number;
  /** Of an auxiliary device: the PCI function above it. */
  readonly pci?: string;
  /** Of a virtual function: its physical function. */
  readonly physfn?: string;
}

/** A management device of a card with one of the kernel's drivers, which defines what the card does not say. */
export interface CardManagementDevice extends ManagementDeviceBase {
  readonly driver: CardDriver;
  readonly vendor_id: number;
  readonly max_vq_size: number;
  /** Of the port; zeros for none. */
  readonly mac: string;
  readonly mtu: number;
  /** 512-byte sectors of a block device. */
  readonly capacity: number;
  /** Vendor counters of every data queue, if its driver has any. */
  readonly vstats?: Readonly<Record<string, Counter>>;
  readonly parent?: ParentState;
}

export type ManagementDeviceState = SoftwareManagementDevice | HardwareManagementDevice | CardManagementDevice;

/** Whether a management device is hardware. */
export function isHardware(
  management: ManagementDeviceState,
): management is HardwareManagementDevice | CardManagementDevice {
  return management.driver === 'hardware' || isCardDriver(management.driver);
}

/** What is known of the parent of hardware. */
export function parentOf(management: ManagementDeviceState): ParentState | undefined {
  return isHardware(management) ? management.parent : undefined;
}

/** A device that a VDUSE server created with VDUSE_CREATE_DEV and VDUSE_VQ_SETUP: `struct vduse_dev_config`. */
export interface VduseInstanceState {
  readonly name: string;
  /** The minor number of its node, the lowest that was free. */
  readonly minor: number;
  readonly device_id: number;
  readonly vendor_id: number;
  readonly features: Hex64;
  /** The size of each virtqueue; 0 if it was not set up. */
  readonly vq_sizes: readonly number[];
  /** The configuration space, in hexadecimal digits. */
  readonly config: string;
  /**
   * The options of its server, if that is one of vdpa, which ends and destroys the instance when its vDPA device is
   * deleted. Absent if another program serves it.
   */
  readonly served?: ServerEntry;
}

/** A file of the machine for block devices. */
export interface FileState {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** The node that vhost_vdpa has created for a device. */
export interface VhostBinding {
  readonly driver: 'vhost_vdpa';
  /** N of /dev/vhost-vdpa-N: the lowest that was free. */
  readonly minor: number;
  /** Owner, group and permissions of the node, if they are not those of devtmpfs. */
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/** The virtio device that virtio_vdpa has created for a device, and what its driver has made of that. */
export interface VirtioBinding {
  readonly driver: 'virtio_vdpa';
  /** N of virtioN: the lowest that was free. */
  readonly virtio: number;
  /** N of ethN, and the index of the interface. Absent if it is not a network device, or if its driver refused it. */
  readonly netdev?: { readonly number: number; readonly ifindex: number };
  /** When its driver started it, in milliseconds since 1970. Absent if there is none, or it refused the device. */
  readonly started?: number;
  /** The position of vda, vdb …, and the sequence number of the disk. */
  readonly disk?: { readonly number: number; readonly seq: number };
}

/** What the driver of a device has made of it. */
export type DriverBinding = VhostBinding | VirtioBinding;

/** A device on the vdpa bus. */
export interface DeviceState {
  readonly name: string;
  /** `bus/name` or `name` of its management device. */
  readonly mgmtdev: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly max_vqp?: number;
  readonly features?: Hex64;
  /** Its driver; absent if none is bound. */
  readonly binding?: DriverBinding;
  /** The only driver that may bind to it. */
  readonly driver_override?: string;
  /** How often a virtio driver has started it: each start sends the same commands. */
  readonly starts?: number;
}

/** A process that has a node of the machine open, or uses an interface: `vdpa sim hold`. */
export interface HolderState {
  readonly pid: number;
  /** When it started, so that another process of the same number is not taken for it: proc(5), starttime. */
  readonly started: string;
  /** `vhost-vdpa-0`, `vda`: a node in /dev; or `eth0`, an interface. */
  readonly node: string;
}

/** The counters and switches of the kernel. */
export interface KernelState {
  /** Whether new devices are bound to a driver: /sys/bus/vdpa/drivers_autoprobe. */
  readonly autoprobe: boolean;
  /** The sequence number of the last uevent. */
  readonly seqnum: number;
  /** The index of the last interface, and the sequence number of the last disk. */
  readonly ifindex: number;
  readonly diskseq: number;
}

/** The machine as it is after booting. */
export interface MachineState {
  /** The user that runs vdpa there; 0 is root. */
  readonly uid: number;
  readonly bus_driver: BusDriver;
  readonly mgmtdev: readonly ManagementDeviceState[];
  readonly vduse: readonly VduseInstanceState[];
  readonly faults: readonly Fault[];
}

export interface SimState {
  readonly version: typeof stateVersion;
  readonly machine: MachineState;
  /** In the order of their creation, which is that of the bus. */
  devices: DeviceState[];
  vduse: VduseInstanceState[];
  /** The files of block devices. They persist across reboots. */
  files: FileState[];
  /** The counter of each fault of the machine, by its index in the list. */
  fault_hits: number[];
  /** Processes that use devices. One that has ended is no longer counted. */
  holders: HolderState[];
  kernel: KernelState;
}

/** Incremented with each incompatible change of the format. */
export const stateVersion = 4;

/** A newly booted machine. @param files the files on its disk */
export function bootState(machine: MachineState, files: readonly FileState[] = []): SimState {
  return {
    version: stateVersion,
    machine,
    devices: [],
    vduse: [...machine.vduse],
    files: [...files],
    fault_hits: [],
    holders: [],
    kernel: bootedKernel,
  };
}

/** `lo` is the first interface, and the machine has another one that is none of its vDPA devices. */
const bootedKernel: KernelState = { autoprobe: true, seqnum: 0, ifindex: 2, diskseq: 0 };

/** The lowest number that is not in use, as ida_alloc() of the kernel gives it out. */
export function lowestFree(used: readonly (number | undefined)[], from = 0): number {
  // One of the first numbers is free; writes to others have no effect.
  const taken = new Uint8Array(used.length + 1);
  for (const number of used) if (number !== undefined) taken[number - from] = 1;
  return from + taken.indexOf(0);
}

/**
 * Linux 7.3 with vdpasim_net, vdpasim_blk and VDUSE, and virtio_vdpa to bind their devices. There are no VDUSE servers.
 */
export const bareMachine: MachineState = {
  uid: 0,
  bus_driver: 'virtio_vdpa',
  mgmtdev: [
    { name: 'vdpasim_net', driver: 'vdpasim_net', classes: [VIRTIO_ID_NET], max_vqs: 3, features: '0x308830028' },
    { name: 'vdpasim_blk', driver: 'vdpasim_blk', classes: [VIRTIO_ID_BLOCK], max_vqs: 0, features: '0x0' },
    { name: 'vduse', driver: 'vduse', classes: [VIRTIO_ID_BLOCK, VIRTIO_ID_NET], max_vqs: 0, features: '0x0' },
  ],
  vduse: [],
  faults: [],
};

/** A feature word as `0x…`. */
export function hex64(value: bigint): Hex64 {
  return `0x${value.toString(16)}`;
}

/** The name of a device on its bus: sysfs replaces slashes. */
export function busName(name: string): string {
  return name.replaceAll('/', '!');
}
