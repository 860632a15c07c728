/** What a simulated machine is made of and what has become of it: the content of the state file. */
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import type { ServerEntry } from '../../vduse/spec/arguments.js';
import type { Fault } from './fault.js';

/** A u64 as `0x…`: JSON numbers are exact only up to 2^53. */
export type Hex64 = `0x${string}`;

/** The driver on the vdpa bus that takes new devices: with virtio_vdpa the machine itself uses them. */
export type BusDriver = 'virtio_vdpa' | 'vhost_vdpa' | 'none';

interface ManagementDeviceBase {
  /** `pci`, `auxiliary` …; absent for a device that is on no bus. */
  readonly bus?: string;
  readonly name: string;
  /** virtio device ids. */
  readonly classes: readonly number[];
  readonly max_vqs: number;
  readonly features: Hex64;
}

/** A management device of the kernel's own simulators or of VDUSE: its driver decides the rest. */
export interface SoftwareManagementDevice extends ManagementDeviceBase {
  readonly driver: 'vdpasim_net' | 'vdpasim_blk' | 'vduse';
}

/** What can be given when a device is added or set. */
export type ConfigAttribute = 'mac' | 'mtu' | 'max_vqp' | 'device_features';

/** A management device of hardware, as described. */
export interface HardwareManagementDevice extends ManagementDeviceBase {
  readonly driver: 'hardware';
  /** What `dev add` may give. */
  readonly config_attributes: readonly ConfigAttribute[];
  readonly vendor_id: number;
  readonly min_vq_size: number;
  readonly max_vq_size: number;
  /** How many devices it can have at once. */
  readonly max_devices: number;
  /** What a device has where `dev add` does not say. */
  readonly mac: string;
  readonly mtu: number;
  /** 512-byte sectors of a block device. */
  readonly capacity: number;
  /** Vendor counters of every virtqueue; none where its driver gives none. */
  readonly vstats?: Readonly<Record<string, number>>;
}

export type ManagementDeviceState = SoftwareManagementDevice | HardwareManagementDevice;

/** A device that a VDUSE server made with VDUSE_CREATE_DEV and VDUSE_VQ_SETUP: `struct vduse_dev_config`. */
export interface VduseInstanceState {
  readonly name: string;
  readonly device_id: number;
  readonly vendor_id: number;
  readonly features: Hex64;
  /** The size of each virtqueue; 0 for one that was not set up. */
  readonly vq_sizes: readonly number[];
  /** The configuration space, in hexadecimal digits. */
  readonly config: string;
  /**
   * The options of its server, if that is one of vdpa, which ends and destroys the instance when its vDPA device is
   * deleted. Absent if another program serves it.
   */
  readonly served?: ServerEntry;
}

/** A file of the machine that a block device can be in. */
export interface FileState {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A device on the vdpa bus: what it was made of. */
export interface DeviceState {
  readonly name: string;
  /** `bus/name` or `name` of its management device. */
  readonly mgmtdev: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly max_vqp?: number;
  readonly features?: Hex64;
}

/** The machine as it is after booting. */
export interface MachineState {
  /** The user that the tool runs as there; 0 is root. */
  readonly uid: number;
  readonly bus_driver: BusDriver;
  readonly mgmtdev: readonly ManagementDeviceState[];
  readonly vduse: readonly VduseInstanceState[];
  readonly faults: readonly Fault[];
}

export interface SimState {
  readonly version: typeof stateVersion;
  readonly machine: MachineState;
  /** In the order in which they were added, which is the bus's. */
  devices: DeviceState[];
  vduse: VduseInstanceState[];
  /** Those that were made for block devices; there is no other. They outlive a boot. */
  files: FileState[];
  /** How often each fault of the machine has been met, by its place in the list. */
  fault_hits: number[];
}

/** Grows with every change of the file's meaning. */
export const stateVersion = 3;

/** A machine that was just booted. @param files what its disk holds */
export function bootState(machine: MachineState, files: readonly FileState[] = []): SimState {
  return { version: stateVersion, machine, devices: [], vduse: [...machine.vduse], files: [...files], fault_hits: [] };
}

/** Linux 7.3 with vdpasim_net, vdpasim_blk and VDUSE, and virtio_vdpa to take their devices. No program serves any. */
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

/** `0x…` of a feature word. */
export function hex64(value: bigint): Hex64 {
  return `0x${value.toString(16)}`;
}

/** The name that a device gets on its bus: a slash would cut its path in sysfs. */
export function busName(name: string): string {
  return name.replaceAll('/', '!');
}
