/** Limits of served devices. Does not access the machine. */
import * as blk from '../../virtio/block.js';
import { isUnicastMac } from '../../virtio/mac-address.js';
import * as net from '../../virtio/net.js';
import { DeviceOptionError } from './error.js';
import { blockFields, netFields, sharedFields } from './fields.js';

const { maximum: MAX_QUEUES } = blockFields.queues;
/** Each pair is two queues of the kernel. */
const MAX_PAIRS = MAX_QUEUES / 2;

/** @throws DeviceOptionError for an invalid queue size */
export function checkQueueSize(queueSize: number): void {
  const { minimum, maximum } = sharedFields.queueSize;
  if (Number.isInteger(Math.log2(queueSize)) && queueSize >= minimum && queueSize <= maximum) return;
  throw new DeviceOptionError(`invalid queue size ${queueSize}: a power of two from ${minimum} to ${maximum} expected`);
}

/** @throws DeviceOptionError */
export function checkBlockOptions(options: {
  readonly queues: number;
  readonly queueSize: number;
  readonly serial: string;
}): void {
  const { queues, queueSize, serial } = options;
  if (!Number.isInteger(queues) || queues < 1 || queues > MAX_QUEUES) {
    throw new DeviceOptionError(`A block device has 1 to ${MAX_QUEUES} queues, not ${queues}`);
  }
  checkQueueSize(queueSize);
  if (Buffer.byteLength(serial) > blk.VIRTIO_BLK_ID_BYTES) {
    throw new DeviceOptionError(`The serial number "${serial}" has more than ${blk.VIRTIO_BLK_ID_BYTES} bytes`);
  }
}

/** @param size in bytes, as is `blockSize` @throws DeviceOptionError */
export function checkSize(size: number, blockSize: number): void {
  if (!Number.isSafeInteger(size) || size <= 0) throw new DeviceOptionError(`invalid disk size: ${size} bytes`);
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
  if (!Number.isInteger(pairs) || pairs < 1 || pairs > MAX_PAIRS) {
    throw new DeviceOptionError(`A network device has 1 to ${MAX_PAIRS} pairs of queues, not ${pairs}`);
  }
  checkQueueSize(queueSize);
  if (mac.length !== net.ETH_ALEN || !isUnicastMac(mac)) {
    throw new DeviceOptionError(
      'The MAC address of a network device has six bytes, is not a group address and not zero',
    );
  }
  const { minimum, maximum } = netFields.mtu;
  if (mtu !== undefined && !(mtu >= minimum && mtu <= maximum)) {
    throw new DeviceOptionError(`The MTU is from ${minimum} to ${maximum}, not ${mtu}`);
  }
}
