/** Limits of served devices. Does not access the machine. */
import * as blk from '../../virtio/block.js';
import { isUnicastMac, parseMac } from '../../virtio/mac-address.js';
import { DeviceOptionError } from './error.js';
import { blockFields, netFields, sharedFields } from './fields.js';

const { maximum: MAX_QUEUES } = blockFields.queues;
/** Each pair is two queues of the kernel. */
const MAX_PAIRS = MAX_QUEUES / 2;

/** @throws DeviceOptionError for an invalid queue size */
export function checkQueueSize(queueSize: number): void {
  const { minimum, maximum } = sharedFields.queueSize;
  if (Number.isInteger(Math.log2(queueSize)) && queueSize >= minimum && queueSize <= maximum) return;
  throw new DeviceOptionError(`Invalid queue_size ${queueSize}: expected a power of two from ${minimum} to ${maximum}`);
}

/** @throws DeviceOptionError */
export function checkBlockOptions(options: {
  readonly queues: number;
  readonly queueSize: number;
  readonly serial: string;
}): void {
  const { queues, queueSize, serial } = options;
  if (!Number.isInteger(queues) || queues < 1 || queues > MAX_QUEUES) {
    throw new DeviceOptionError(`Invalid queues ${queues}: expected 1 to ${MAX_QUEUES} for a block device`);
  }
  checkQueueSize(queueSize);
  if (Buffer.byteLength(serial) > blk.VIRTIO_BLK_ID_BYTES) {
    throw new DeviceOptionError(`Serial number "${serial}" is longer than ${blk.VIRTIO_BLK_ID_BYTES} bytes`);
  }
}

/** @param size in bytes, as is `blockSize` @throws DeviceOptionError */
export function checkSize(size: number, blockSize: number): void {
  if (!Number.isSafeInteger(size) || size <= 0) throw new DeviceOptionError(`Invalid size: ${size} bytes`);
  if (size % blockSize !== 0) {
    throw new DeviceOptionError(`Invalid size: ${size} bytes is not a multiple of the block size ${blockSize}`);
  }
}

/** @throws DeviceOptionError, and ArgumentError for an invalid MAC address */
export function checkNetOptions(options: {
  readonly pairs: number;
  readonly queueSize: number;
  readonly mac: string;
  readonly mtu: number | undefined;
}): void {
  const { pairs, queueSize, mac, mtu } = options;
  if (!Number.isInteger(pairs) || pairs < 1 || pairs > MAX_PAIRS) {
    throw new DeviceOptionError(`Invalid queues ${pairs}: expected 1 to ${MAX_PAIRS} pairs`);
  }
  checkQueueSize(queueSize);
  if (!isUnicastMac(parseMac(mac))) {
    throw new DeviceOptionError('Invalid MAC address: expected an address that is neither multicast nor all zero');
  }
  const { minimum, maximum } = netFields.mtu;
  if (mtu !== undefined && !(mtu >= minimum && mtu <= maximum)) {
    throw new DeviceOptionError(`Invalid mtu ${mtu}: expected ${minimum} to ${maximum}`);
  }
}
