/** VDUSE instances of a simulated machine: what a server makes with VDUSE_CREATE_DEV and VDUSE_VQ_SETUP. */
import { littleEndian, viewOf } from '../netlink/bytes.js';
import { encodeText } from '../netlink/text.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { blockConfigLength, blockConfigOffset, netConfigLength, netConfigOffset } from '../virtio/config-space.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import { featureMask } from './feature-mask.js';
import { busName, hex64 } from './state.js';
import type { SimState, VduseInstance } from './state.js';

/** VDUSE_NAME_MAX, less the NUL: in bytes. */
const maxNameLength = 255;
/** 64 MiB in sectors of 512 bytes. */
export const defaultCapacity = 131_072n;

/** What a VDUSE server offers: `struct vduse_dev_config`, and the sizes of its virtqueues. */
export interface VduseOffer {
  readonly name: string;
  /** virtio device id. */
  readonly deviceId: number;
  readonly vendorId: number;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  /** The configuration space; what is missing at its end reads as zeroes. */
  readonly config: Uint8Array;
  /** Its server ends when its vDPA device is deleted, and destroys the instance. */
  readonly embedded: boolean;
}

const always = featureMask(undefined, ['VERSION_1', 'ACCESS_PLATFORM']);
const configLengths: Readonly<Partial<Record<number, number>>> = {
  [VIRTIO_ID_NET]: netConfigLength,
  [VIRTIO_ID_BLOCK]: blockConfigLength,
};

/**
 * VDUSE_CREATE_DEV.
 * @throws SystemError EEXIST where there is one of the name, EINVAL for a name or features that the kernel does not take
 */
export function createInstance(state: SimState, offer: VduseOffer): void {
  const refuse = (errno: number): never => {
    throw new SystemError({ operation: `create VDUSE device ${offer.name}`, errno });
  };
  const { length } = encodeText(offer.name);
  if (length === 0 || length > maxNameLength) refuse(Errno.EINVAL);
  if ((offer.features & featureMask(undefined, ['ACCESS_PLATFORM'])) === 0n) refuse(Errno.EINVAL);
  // The control device and all instances lie in one directory of sysfs.
  const taken = ['control', ...state.vduse.map(({ name }) => busName(name))];
  if (taken.includes(busName(offer.name))) refuse(Errno.EEXIST);
  state.vduse.push(toInstance(offer));
}

/** VDUSE_DESTROY_DEV. @throws SystemError EINVAL where there is none of the name, EBUSY while its vDPA device is there */
export function destroyInstance(state: SimState, name: string): void {
  const operation = `destroy VDUSE device ${name}`;
  if (!state.vduse.some((instance) => instance.name === name))
    throw new SystemError({ operation, errno: Errno.EINVAL });
  const isAttached = state.devices.some(
    (device) =>
      device.name === busName(name) &&
      state.machine.mgmtdev.some((management) => management.driver === 'vduse' && management.name === device.mgmtdev),
  );
  if (isAttached) throw new SystemError({ operation, errno: Errno.EBUSY });
  state.vduse = state.vduse.filter((instance) => instance.name !== name);
}

export function toInstance(offer: VduseOffer): VduseInstance {
  const config = new Uint8Array(Math.max(configLengths[offer.deviceId] ?? 0, offer.config.length));
  config.set(offer.config);
  return {
    name: offer.name,
    device_id: offer.deviceId,
    vendor_id: offer.vendorId,
    features: hex64(offer.features),
    vq_sizes: offer.queueSizes,
    config: Buffer.from(config).toString('hex'),
    embedded: offer.embedded,
  };
}

/** What a block device is offered with. */
export interface BlockOffer {
  /** Sectors of 512 bytes. */
  readonly capacity?: bigint;
  /** Bytes. */
  readonly blockSize?: number;
  readonly queues?: number;
  readonly queueSize?: number;
  readonly readOnly?: boolean;
  readonly vendorId?: number;
  /** More than it needs. */
  readonly features?: bigint;
}

/** A block device as a VDUSE server offers it: 64 MiB and one queue where nothing else is said. */
export function blockOffer(name: string, options: BlockOffer, embedded: boolean): VduseOffer {
  const { capacity = defaultCapacity, blockSize = 512, queues = 1, queueSize = 256 } = options;
  const config = new Uint8Array(blockConfigLength);
  const view = viewOf(config);
  view.setBigUint64(blockConfigOffset.capacity, capacity, littleEndian);
  view.setUint32(blockConfigOffset.segMax, queueSize - 2, littleEndian);
  view.setUint32(blockConfigOffset.blkSize, blockSize, littleEndian);
  view.setUint16(blockConfigOffset.minIoSize, 1, littleEndian);
  view.setUint32(blockConfigOffset.optIoSize, 1, littleEndian);
  view.setUint16(blockConfigOffset.numQueues, queues, littleEndian);
  const names = ['SEG_MAX', 'BLK_SIZE', 'FLUSH', 'TOPOLOGY', ...(queues > 1 ? ['MQ'] : [])];
  return {
    name,
    deviceId: VIRTIO_ID_BLOCK,
    vendorId: options.vendorId ?? 0,
    features:
      always |
      featureMask(VIRTIO_ID_BLOCK, options.readOnly === true ? [...names, 'RO'] : names) |
      (options.features ?? 0n),
    queueSizes: Array.from({ length: queues }, () => queueSize),
    config,
    embedded,
  };
}

/** What a network device is offered with. */
export interface NetOffer {
  /** Six bytes. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  readonly queues?: number;
  readonly queueSize?: number;
  readonly vendorId?: number;
  /** More than it needs. */
  readonly features?: bigint;
}

/** A network device as a VDUSE server offers it: one pair of queues where nothing else is said. */
export function netOffer(name: string, options: NetOffer, embedded: boolean): VduseOffer {
  const { mac, mtu, queues = 2, queueSize = 256 } = options;
  const config = new Uint8Array(netConfigLength);
  const view = viewOf(config);
  const names = ['STATUS'];
  view.setUint16(netConfigOffset.status, 1, littleEndian);
  view.setUint16(netConfigOffset.maxVirtqueuePairs, Math.max(1, Math.floor(queues / 2)), littleEndian);
  if (mac !== undefined) {
    config.set(mac, netConfigOffset.mac);
    names.push('MAC');
  }
  if (mtu !== undefined) {
    view.setUint16(netConfigOffset.mtu, mtu, littleEndian);
    names.push('MTU');
  }
  return {
    name,
    deviceId: VIRTIO_ID_NET,
    vendorId: options.vendorId ?? 0,
    features: always | featureMask(VIRTIO_ID_NET, names) | (options.features ?? 0n),
    queueSizes: Array.from({ length: queues }, () => queueSize),
    config,
    embedded,
  };
}
