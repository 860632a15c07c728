/** What a benchmark asks of a device, and whether the device can do it. */
import * as blk from '../virtio/block.js';
import { blockConfigOffset } from '../virtio/config-space.js';
import { featureMask } from '../virtio/feature-mask.js';
import { ETH_HLEN } from '../virtio/net.js';
import { MAX_DRIVER_QUEUE } from '../vhost/driver.js';
import type { Target } from '../vhost/target.js';
import { LoadError } from './error.js';
import { operationsOf, overwrites, type BlockPattern } from './patterns.js';

/** What is asked for. What is absent has a default for the type of the device. */
export interface LoadRequest {
  /** For disks only. */
  readonly pattern?: BlockPattern;
  /** Bytes of a request to a disk, or of a packet with its Ethernet header. */
  readonly blockSize?: number;
  /** Requests in flight for each queue. */
  readonly depth?: number;
  readonly queues?: number;
}

interface CommonLoad {
  readonly blockSize: number;
  readonly depth: number;
  readonly queues: number;
  /** The size of the queues, in descriptors. */
  readonly queueSize: number;
  /** The features to accept, a mask. */
  readonly features: bigint;
}

/** Requests to a disk. */
export interface BlockLoad extends CommonLoad {
  readonly type: 'block';
  readonly pattern: BlockPattern;
  /** The size of the disk, in blocks of `blockSize`. */
  readonly blocks: number;
  /** Bytes of the largest segment of a request. */
  readonly segmentBytes: number;
  /** Whether requests are in indirect tables. */
  readonly indirect: boolean;
}

/** Packets to a network. */
export interface NetLoad extends CommonLoad {
  readonly type: 'net';
  /** The address of the device: packets are sent from it and to it. */
  readonly mac: Uint8Array;
}

export type Load = BlockLoad | NetLoad;

/** Requests in flight, unless something else is asked for. */
export const DEFAULT_DEPTH = 32;
const DEFAULT_BLOCK = 4096;
const DEFAULT_PACKET = 64;
/** The longest frame without offloads. */
const MAX_FRAME = 1514;
/** An Ethernet header, and what tells packets apart. */
export const MIN_FRAME = ETH_HLEN + 8;
/** The most memory for the data of requests in flight. */
const MAX_MEMORY = 2 ** 30;
const TRANSPORT = ['VERSION_1', 'ACCESS_PLATFORM', 'RING_PACKED', 'RING_EVENT_IDX', 'ORDER_PLATFORM'];

/** The number of descriptors of a request to a disk: its header, its data and its status. */
export function descriptorsOf({ blockSize, segmentBytes }: Pick<BlockLoad, 'blockSize' | 'segmentBytes'>): number {
  return 2 + Math.ceil(blockSize / segmentBytes);
}

/** The number of descriptors of the ring that it takes. */
export function ringDescriptorsOf(load: Pick<BlockLoad, 'blockSize' | 'segmentBytes' | 'indirect'>): number {
  return load.indirect ? 1 : descriptorsOf(load);
}

/**
 * The load for a device.
 * @throws LoadError if the device cannot have it
 */
export function planLoad(target: Target, request: LoadRequest): Load {
  switch (target.type) {
    case 'block':
      return planBlock(target, request);
    case 'net':
      return planNet(target, request);
    default:
      throw new LoadError(`Not supported: devices of virtio device id ${target.deviceId}`);
  }
}

function planBlock(target: Target, request: LoadRequest): BlockLoad {
  const { pattern = 'randread', blockSize = DEFAULT_BLOCK, queues = 1 } = request;
  const config = new DataView(target.config.buffer, target.config.byteOffset, target.config.byteLength);
  const has = (name: string): boolean => (target.features & featureMask(target.deviceId, [name])) !== 0n;
  const field = (name: string, offset: number, otherwise: number): number =>
    has(name) && config.byteLength >= offset + 4 ? config.getUint32(offset, true) : otherwise;
  if (has('RO') && overwrites(pattern)) throw new LoadError(`The disk is read-only: ${pattern} writes`);
  const unit = field('BLK_SIZE', blockConfigOffset.blkSize, blk.SECTOR_SIZE);
  if (unit === 0 || blockSize % unit !== 0 || blockSize % blk.SECTOR_SIZE !== 0) {
    throw new LoadError(`A block size of ${blockSize} bytes is not a multiple of the disk's ${unit} bytes`);
  }
  const capacity = Number(config.getBigUint64(blockConfigOffset.capacity, true)) * blk.SECTOR_SIZE;
  const blocks = Math.floor(capacity / blockSize);
  if (blocks === 0) throw new LoadError(`A block of ${blockSize} bytes is larger than the disk of ${capacity} bytes`);
  const segmentBytes = Math.min(blockSize, field('SIZE_MAX', blockConfigOffset.sizeMax, blockSize) || blockSize);
  const segments = Math.ceil(blockSize / segmentBytes);
  const maxSegments = field('SEG_MAX', blockConfigOffset.segMax, segments);
  if (segments > maxSegments) {
    throw new LoadError(
      `A block of ${blockSize} bytes needs ${segments} segments of ${segmentBytes} bytes; the disk permits ${maxSegments}`,
    );
  }
  if (queues > target.queues || (queues > 1 && !has('MQ'))) {
    throw new LoadError(`The device has ${has('MQ') ? target.queues : 1} queues, not ${queues}`);
  }
  const indirect = has('RING_INDIRECT_DESC');
  const features = [
    'RING_INDIRECT_DESC',
    'SIZE_MAX',
    'SEG_MAX',
    'BLK_SIZE',
    'RO',
    'FLUSH',
    ...(queues > 1 ? ['MQ'] : []),
  ];
  const load = {
    ...common(target, request, features),
    type: 'block',
    pattern,
    blockSize,
    queues,
    blocks,
    segmentBytes,
    indirect,
  } as const;
  const bytes = blockSize * load.depth * queues;
  if (bytes > MAX_MEMORY)
    throw new LoadError(`The requests in flight would need ${bytes} bytes; at most ${MAX_MEMORY}`);
  // A request that may read or write has a chain for both.
  requireRoom(load, ringDescriptorsOf(load) * operationsOf(pattern).length);
  return load;
}

function planNet(target: Target, request: LoadRequest): NetLoad {
  const { blockSize = DEFAULT_PACKET, queues = 1, pattern } = request;
  if (pattern !== undefined) throw new LoadError(`"rw ${pattern}" is for disks; this is a network device`);
  if (queues > 1) throw new LoadError('Only the first pair of queues of a network device is measured');
  if (blockSize < MIN_FRAME || blockSize > MAX_FRAME) {
    throw new LoadError(`A packet has ${MIN_FRAME} to ${MAX_FRAME} bytes, not ${blockSize}`);
  }
  const hasMac = (target.features & featureMask(target.deviceId, ['MAC'])) !== 0n;
  const mac = hasMac ? target.config.slice(0, 6) : Uint8Array.of(2, 0, 0, 0, 0, 1);
  const load = { ...common(target, request, ['MAC']), type: 'net', blockSize, queues, mac } as const;
  requireRoom(load, 1);
  return load;
}

function common(
  target: Target,
  request: LoadRequest,
  features: readonly string[],
): Pick<CommonLoad, 'depth' | 'queueSize' | 'features'> {
  const limit = Math.min(target.queueSize, MAX_DRIVER_QUEUE);
  return {
    depth: request.depth ?? DEFAULT_DEPTH,
    // Split queues have a power of two, 2.7.
    queueSize: 2 ** Math.floor(Math.log2(limit)),
    features: target.features & featureMask(target.deviceId, [...TRANSPORT, ...features]),
  };
}

function requireRoom({ depth, queueSize }: CommonLoad, descriptors: number): void {
  const most = Math.floor(queueSize / descriptors);
  if (depth <= most) return;
  throw new LoadError(`A queue of ${queueSize} descriptors has room for ${most} such requests, not ${depth}`);
}
