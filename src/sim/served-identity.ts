/** What drivers see of simulated devices that are served. */
import { blockIdentity, blockLimits, plainBlocks } from '../vduse/block-identity.js';
import type { DeviceIdentity } from '../vduse/control.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_QUEUE_SIZE, DEFAULT_SIZE } from '../vduse/device-options.js';
import { macFor, netIdentity } from '../vduse/net-identity.js';
import { checkQueueSize } from '../vduse/negotiation.js';
import { netBackendOf } from '../vduse/service/backend-choice.js';
import type { BlockServed, NetServed } from '../vduse/service/served-device.js';

/** What a driver sees of a block device that is served. */
export function identityOfBlock(device: BlockServed): DeviceIdentity {
  const {
    size = DEFAULT_SIZE,
    readonly = false,
    blockSize = DEFAULT_BLOCK_SIZE,
    queues = 1,
    queueSize = DEFAULT_QUEUE_SIZE,
    serial = '',
  } = device;
  checkQueueSize(queueSize);
  return blockIdentity({
    limits: blockLimits({ size, readonly }, serial),
    blocks: plainBlocks(blockSize),
    queues,
    queueSize,
  });
}

/** What a driver sees of a network device that is served. */
export function identityOfNet(device: NetServed): DeviceIdentity {
  const { name, mac = macFor(name), mtu, queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  checkQueueSize(queueSize);
  const offloads = netBackendOf(device).type === 'tap';
  return netIdentity({ mac, mtu, pairs: queues, queueSize, offloads });
}
