/** Configuration spaces of hardware. */
import { viewOf } from '../../../netlink/bytes.js';
import { SECTOR_SIZE } from '../../../virtio/block.js';
import {
  blockConfigLength,
  blockConfigOffset,
  netConfigLength,
  netConfigOffset,
} from '../../../virtio/config-space.js';
import { parseMac } from '../../../virtio/mac-address.js';

/** VIRTIO_NET_S_LINK_UP */
const linkUp = 1;

/** The fields of a network device. */
export interface NetFields {
  readonly mac?: string | undefined;
  readonly mtu: number;
  /** max_virtqueue_pairs */
  readonly pairs: number;
}

/** The configuration space of a network device whose link is up. */
export function netConfigSpace({ mac, mtu, pairs }: NetFields): Uint8Array {
  const bytes = new Uint8Array(netConfigLength);
  if (mac !== undefined) bytes.set(parseMac(mac), netConfigOffset.mac);
  const view = viewOf(bytes);
  view.setUint16(netConfigOffset.status, linkUp, true);
  view.setUint16(netConfigOffset.maxVirtqueuePairs, pairs, true);
  view.setUint16(netConfigOffset.mtu, mtu, true);
  return bytes;
}

/** The configuration space of a block device. @param capacity in sectors of 512 bytes */
export function blockConfigSpace(capacity: number, queues: number): Uint8Array {
  const bytes = new Uint8Array(blockConfigLength);
  const view = viewOf(bytes);
  view.setBigUint64(blockConfigOffset.capacity, BigInt(capacity), true);
  view.setUint32(blockConfigOffset.blkSize, SECTOR_SIZE, true);
  view.setUint16(blockConfigOffset.numQueues, queues, true);
  return bytes;
}
