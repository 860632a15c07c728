/** Types of the kernel's data on management devices and vDPA devices. */
import { ArgumentError } from '../sys/error.js';

/** A management device, on which vDPA devices are created. */
export interface ManagementDevice {
  /** Its name, with its bus if it has one: `vdpasim_net`, `pci/0000:03:00.2`. {@link parseHandle} splits it. */
  readonly handle: string;
  /** Bit mask of the virtio device ids that it supports: bit 1 for net, bit 2 for block. */
  readonly supportedClasses?: bigint;
  /** Maximum number of virtqueues of a device. */
  readonly maxVirtqueues?: number;
  /** Supported virtio feature bits. */
  readonly supportedFeatures?: bigint;
}

/** A device on the vdpa bus. */
export interface VdpaDevice {
  readonly name: string;
  /** The handle of its management device: `pci/0000:03:00.2`. */
  readonly managementDevice: string;
  /** virtio device id; `deviceTypeName` gives its name: `net` for 1, `block` for 2. */
  readonly deviceId: number;
  readonly vendorId?: number;
  readonly maxVirtqueues?: number;
  readonly maxVirtqueueSize?: number;
  readonly minVirtqueueSize?: number;
}

/** Fields common to all device configurations. */
interface DeviceConfigBase {
  readonly name: string;
  /** virtio device id. */
  readonly deviceId: number;
  /** Feature bits that the device offers. */
  readonly deviceFeatures?: bigint;
  /** Feature bits that the driver accepted; absent before negotiation is complete. */
  readonly negotiatedFeatures?: bigint;
}

/** Configuration of a network device. Fields of features that the device does not offer are absent. */
export interface NetConfig extends DeviceConfigBase {
  readonly kind: 'net';
  /** `00:11:22:33:44:55` */
  readonly mac?: string;
  /** VIRTIO_NET_S_LINK_UP (1) and VIRTIO_NET_S_ANNOUNCE (2). */
  readonly status?: number;
  readonly maxVirtqueuePairs?: number;
  readonly mtu?: number;
}

/** Configuration of a block device. Fields of features that the device does not offer are absent. */
export interface BlockConfig extends DeviceConfigBase {
  readonly kind: 'block';
  /** 512-byte sectors. */
  readonly capacity?: bigint;
  /** Bytes. */
  readonly blockSize?: number;
  /** Largest segment, bytes. */
  readonly maxSegmentSize?: number;
  /** Maximum number of segments in a request. */
  readonly maxSegments?: number;
  readonly queues?: number;
  readonly topology?: {
    /** log2 of the number of logical blocks per physical block. */
    readonly physicalBlockExponent: number;
    /** Logical blocks. */
    readonly alignmentOffset: number;
    /** Logical blocks. */
    readonly minIoSize: number;
    /** Logical blocks. */
    readonly optimalIoSize: number;
  };
  readonly discard?: {
    /** 512-byte sectors. */
    readonly maxSectors: number;
    readonly maxSegments: number;
    /** 512-byte sectors. */
    readonly sectorAlignment: number;
  };
  readonly writeZeroes?: {
    /** 512-byte sectors. */
    readonly maxSectors: number;
    readonly maxSegments: number;
  };
  readonly readOnly?: boolean;
  readonly flush?: boolean;
}

/** Configuration of a device of another class; the kernel reports nothing else. */
export interface OtherConfig extends DeviceConfigBase {
  readonly kind: 'other';
}

export type DeviceConfig = NetConfig | BlockConfig | OtherConfig;

/** A vendor's counter of a virtqueue. */
export interface VendorCounter {
  readonly name: string;
  readonly value: bigint;
}

/** Vendor statistics of one virtqueue. */
export interface VendorStats {
  readonly name: string;
  /** virtio device id. */
  readonly deviceId: number;
  readonly negotiatedFeatures?: bigint;
  /** Absent if multiqueue was not negotiated: there is one pair then. */
  readonly maxVirtqueuePairs?: number;
  readonly queueIndex?: number;
  readonly counters: readonly VendorCounter[];
}

/** The parts of the handle of a management device. */
export interface ManagementDeviceHandle {
  /** `pci`, `auxiliary` …; absent for devices without a bus. */
  readonly bus?: string;
  readonly name: string;
}

/** The handle of a management device as on the command line: `bus/name`, or `name` without a bus. */
export function formatHandle({ bus, name }: ManagementDeviceHandle): string {
  return bus === undefined ? name : `${bus}/${name}`;
}

/**
 * Splits a handle: the inverse of {@link formatHandle}.
 * @throws ArgumentError for more than two parts
 */
export function parseHandle(text: string): ManagementDeviceHandle {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0) {
    throw new ArgumentError(`Invalid management device "${text}": expected NAME or BUS/NAME`);
  }
  return second === undefined ? { name: first } : { bus: first, name: second };
}
