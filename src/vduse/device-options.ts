/** What a device may be asked to be. Touches nothing of the machine. */
import * as blk from '../virtio/block.js';
import * as net from '../virtio/net.js';
import { DeviceOptionError } from './device-option-error.js';
import { checkQueueSize } from './negotiation.js';

/** A block device has 64 MiB where nothing else is said. */
export const DEFAULT_SIZE = 64 * 1024 * 1024;
/** Its logical blocks, in bytes, where nothing else is said. */
export const DEFAULT_BLOCK_SIZE = 512;
/** How many descriptors a queue has where nothing else is said. */
export const DEFAULT_QUEUE_SIZE = 256;

/** The kernel's limits of an Ethernet device (ETH_MIN_MTU, ETH_MAX_MTU). */
const MIN_MTU = 68;
const MAX_MTU = 65535;

/** The serial number of a block device where nothing else is said: its name, as far as it fits. */
export function defaultSerial(name: string): string {
  let serial = '';
  for (const character of name) {
    if (Buffer.byteLength(serial + character) > blk.VIRTIO_BLK_ID_BYTES) break;
    serial += character;
  }
  return serial;
}

/** @throws DeviceOptionError */
export function checkBlockOptions(options: {
  readonly queues: number;
  readonly queueSize: number;
  readonly serial: string;
}): void {
  const { queues, queueSize, serial } = options;
  if (!Number.isInteger(queues) || queues < 1 || queues > 256) {
    throw new DeviceOptionError(`A block device has 1 to 256 queues, not ${queues}`);
  }
  checkQueueSize(queueSize);
  if (Buffer.byteLength(serial) > blk.VIRTIO_BLK_ID_BYTES) {
    throw new DeviceOptionError(`The serial number "${serial}" has more than ${blk.VIRTIO_BLK_ID_BYTES} bytes`);
  }
}

/** @param size in bytes, as is `blockSize` @throws DeviceOptionError */
export function checkSize(size: number, blockSize: number): void {
  if (!Number.isSafeInteger(size) || size <= 0) throw new DeviceOptionError(`${size} bytes are no size of a disk`);
  if (size % blockSize !== 0) {
    throw new DeviceOptionError(`The size, ${size} bytes, is not a multiple of the block size, ${blockSize}`);
  }
}

/** @throws DeviceOptionError */
export function checkNetOptions(options: {
  readonly pairs: number;
  readonly queueSize: number;
  readonly mac: Uint8Array;
  readonly mtu: number | undefined;
}): void {
  const { pairs, queueSize, mac, mtu } = options;
  if (!Number.isInteger(pairs) || pairs < 1 || pairs > 128) {
    throw new DeviceOptionError(`A network device has 1 to 128 pairs of queues, not ${pairs}`);
  }
  checkQueueSize(queueSize);
  if (mac.length !== net.ETH_ALEN || ((mac[0] ?? 1) & 1) === 1 || mac.every((byte) => byte === 0)) {
    throw new DeviceOptionError('The address of a network device has six bytes, is not that of a group and not zero');
  }
  if (mtu !== undefined && !(mtu >= MIN_MTU && mtu <= MAX_MTU)) {
    throw new DeviceOptionError(`The MTU is from ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`);
  }
}
