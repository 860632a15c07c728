/** The driver-visible properties of simulated served devices. */
import { blockIdentity, blockLimits, defaultBlockSizes } from '../../vduse/block/identity.js';
import type { DeviceIdentity } from '../../vduse/kernel/control.js';
import { netIdentity } from '../../vduse/net/identity.js';
import { checkQueueSize } from '../../vduse/spec/limits.js';
import { netBackendFor } from '../../vduse/spec/backend.js';
import type { BlockDeviceSpec, NetDeviceSpec } from '../../vduse/spec/device-spec.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_QUEUE_SIZE, DEFAULT_SIZE, defaultMac } from '../../vduse/spec/defaults.js';

/** The driver-visible properties of a served block device. */
export function identityOfBlock(device: BlockDeviceSpec): DeviceIdentity {
  const {
    size = DEFAULT_SIZE,
    readonly = false,
    blockSize = DEFAULT_BLOCK_SIZE,
    queues = 1,
    queueSize = DEFAULT_QUEUE_SIZE,
    packed = false,
    serial = '',
  } = device;
  checkQueueSize(queueSize);
  return blockIdentity({
    limits: blockLimits({ size, readonly }, serial),
    blocks: defaultBlockSizes(blockSize),
    queues,
    queueSize,
    packed,
    hasCache: device.cache !== 'writethrough',
  });
}

/** The driver-visible properties of a served network device. */
export function identityOfNet(device: NetDeviceSpec): DeviceIdentity {
  const { name, mac = defaultMac(name), mtu, queues = 1, queueSize = DEFAULT_QUEUE_SIZE, packed = false } = device;
  checkQueueSize(queueSize);
  const offloads = netBackendFor(device).type === 'tap';
  return netIdentity({ mac, mtu, pairs: queues, queueSize, packed, offloads });
}
