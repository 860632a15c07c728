/** What the kernel tells of management devices and vDPA devices, typed. */

/** Names a management device: `vdpasim_net`, or with its bus `pci/0000:03:00.2`. */
export interface ManagementDeviceHandle {
  /** `pci`, `auxiliary` …; absent for devices that are on no bus. */
  readonly bus?: string;
  readonly name: string;
}

/** A device that vDPA devices are made on. */
export interface ManagementDevice extends ManagementDeviceHandle {
  /** A bit for each virtio device id that it can make: bit 1 for net, bit 2 for block. */
  readonly supportedClasses?: bigint;
  /** Most virtqueues that one of its devices can have. */
  readonly maxVirtqueues?: number;
  /** virtio feature bits that it can offer. */
  readonly supportedFeatures?: bigint;
}

/** A device on the vdpa bus. */
export interface VdpaDevice {
  readonly name: string;
  readonly managementDevice: ManagementDeviceHandle;
  /** virtio device id: 1 net, 2 block. */
  readonly deviceId: number;
  readonly vendorId?: number;
  readonly maxVirtqueues?: number;
  readonly maxVirtqueueSize?: number;
  readonly minVirtqueueSize?: number;
}

/** What every kind of device configuration has. */
interface DeviceConfigBase {
  readonly name: string;
  /** virtio device id. */
  readonly deviceId: number;
  /** Feature bits that the device offers. */
  readonly deviceFeatures?: bigint;
  /** Feature bits that the driver accepted; absent until negotiation is done. */
  readonly negotiatedFeatures?: bigint;
}

/** Configuration of a network device. Fields are absent where the device does not offer the feature. */
export interface NetConfig extends DeviceConfigBase {
  readonly kind: 'net';
  /** Six bytes. */
  readonly mac?: Uint8Array;
  /** VIRTIO_NET_S_LINK_UP (1) and VIRTIO_NET_S_ANNOUNCE (2). */
  readonly status?: number;
  readonly maxVirtqueuePairs?: number;
  readonly mtu?: number;
}

/** Configuration of a block device. Fields are absent where the device does not offer the feature. */
export interface BlockConfig extends DeviceConfigBase {
  readonly kind: 'block';
  /** 512-byte sectors. */
  readonly capacity?: bigint;
  /** Bytes. */
  readonly blockSize?: number;
  /** Largest segment, bytes. */
  readonly maxSegmentSize?: number;
  /** Most segments in a request. */
  readonly maxSegments?: number;
  readonly queues?: number;
  readonly topology?: {
    /** log2 of the logical blocks in a physical one. */
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

/** Configuration of a device of another class, of which the kernel tells no more. */
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
  /** Absent where multiqueue was not negotiated: then there is one pair. */
  readonly maxVirtqueuePairs?: number;
  readonly queueIndex?: number;
  readonly counters: readonly VendorCounter[];
}

/** `bus/name`, or `name` where there is no bus: the way that commands write a management device. */
export function formatHandle(handle: ManagementDeviceHandle): string {
  return handle.bus === undefined ? handle.name : `${handle.bus}/${handle.name}`;
}

/** Reads what {@link formatHandle} writes. @returns undefined for more than two parts */
export function parseHandle(text: string): ManagementDeviceHandle | undefined {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0) return undefined;
  return second === undefined ? { name: first } : { bus: first, name: second };
}
