/** The driver-visible properties of a block device. Does not access the machine. */
import * as blk from '../../virtio/block.js';
import { blockConfigLength, blockConfigOffset } from '../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK } from '../../virtio/ids.js';
import type { BlockLimits } from './data-plane.js';
import type { DeviceIdentity } from '../kernel/control.js';
import { ringFeatures } from '../engine/negotiation.js';

/** Sizes reported to drivers for storage that is not a disk: the page cache works in pages. */
const PHYSICAL_BLOCK = 4096;
const OPTIMAL_IO = 1024 * 1024;
/** The longest single buffer. */
const MAX_SEGMENT = 4 * 1024 * 1024;
/**
 * Limit for the discard of one request: little more than metadata, which some file systems update slowly. A request
 * must not block its queue for long, since the kernel gives up a device that does not respond.
 */
export const MAX_DISCARD = 64 * 1024 * 1024;
const MAX_DISCARD_RANGES = 16;
/** Limit for the zeros of one request: some file systems can only write them. */
export const MAX_ZEROES = 16 * 1024 * 1024;
const MAX_ZEROES_RANGES = 1;

/** What suits the storage of a device, in bytes: multiples of the logical block. */
export interface BlockSizes {
  readonly logical: 512 | 4096;
  readonly physical: number;
  /** Position of the first physical block. */
  readonly alignmentOffset: number;
  /** The shortest and the best length of a transfer. */
  readonly minimumIo: number;
  readonly optimalIo: number;
  /** The unit of discards. */
  readonly discard: number;
  /** The longest range of a discard, and of writing zeros. */
  readonly maxDiscard: number;
  readonly maxWriteZeroes: number;
}

/** The values for a device that is not stored on a disk. */
export function defaultBlockSizes(logical: BlockSizes['logical']): BlockSizes {
  return {
    logical,
    physical: PHYSICAL_BLOCK,
    alignmentOffset: 0,
    minimumIo: PHYSICAL_BLOCK,
    optimalIo: OPTIMAL_IO,
    discard: logical,
    maxDiscard: MAX_DISCARD,
    maxWriteZeroes: MAX_ZEROES,
  };
}

/**
 * The operations that a block device accepts. They do not depend on the disk: a driver keeps to what it was offered at
 * its start, whichever server is there now.
 */
export function blockLimits(
  storage: { readonly size: number; readonly readonly: boolean },
  serial: string,
): BlockLimits {
  return {
    size: storage.size,
    readonly: storage.readonly,
    serial,
    maxDiscardSectors: MAX_DISCARD / blk.SECTOR_SIZE,
    maxDiscardRanges: MAX_DISCARD_RANGES,
    maxWriteZeroesSectors: MAX_ZEROES / blk.SECTOR_SIZE,
    maxWriteZeroesRanges: MAX_ZEROES_RANGES,
  };
}

/** The driver-visible properties of a block device. */
export function blockIdentity(device: {
  readonly limits: BlockLimits;
  readonly blocks: BlockSizes;
  readonly queues: number;
  readonly queueSize: number;
  /** Whether drivers may use packed virtqueues. */
  readonly packed: boolean;
  /** Whether a write may be completed before it is durable. */
  readonly hasCache: boolean;
}): DeviceIdentity {
  const { limits, blocks, queues, queueSize, packed, hasCache } = device;
  const bits = [
    blk.VIRTIO_BLK_F_SIZE_MAX,
    blk.VIRTIO_BLK_F_SEG_MAX,
    blk.VIRTIO_BLK_F_BLK_SIZE,
    ...(hasCache ? [blk.VIRTIO_BLK_F_FLUSH] : []),
    blk.VIRTIO_BLK_F_TOPOLOGY,
    ...(queues > 1 ? [blk.VIRTIO_BLK_F_MQ] : []),
    ...(limits.readonly ? [blk.VIRTIO_BLK_F_RO] : [blk.VIRTIO_BLK_F_DISCARD, blk.VIRTIO_BLK_F_WRITE_ZEROES]),
  ];
  const config = new Uint8Array(blockConfigLength);
  const view = new DataView(config.buffer);
  config.set(capacityField(limits.size), blockConfigOffset.capacity);
  view.setUint32(blockConfigOffset.sizeMax, MAX_SEGMENT, true);
  // A request has a header and a status byte besides its data.
  view.setUint32(blockConfigOffset.segMax, queueSize - 2, true);
  view.setUint32(blockConfigOffset.blkSize, blocks.logical, true);
  view.setUint8(blockConfigOffset.physicalBlockExp, Math.log2(blocks.physical / blocks.logical));
  view.setUint8(blockConfigOffset.alignmentOffset, blocks.alignmentOffset / blocks.logical);
  view.setUint16(blockConfigOffset.minIoSize, blocks.minimumIo / blocks.logical, true);
  view.setUint32(blockConfigOffset.optIoSize, blocks.optimalIo / blocks.logical, true);
  view.setUint16(blockConfigOffset.numQueues, queues, true);
  if (!limits.readonly) {
    view.setUint32(blockConfigOffset.maxDiscardSectors, blocks.maxDiscard / blk.SECTOR_SIZE, true);
    view.setUint32(blockConfigOffset.maxDiscardSeg, limits.maxDiscardRanges, true);
    view.setUint32(blockConfigOffset.discardSectorAlignment, blocks.discard / blk.SECTOR_SIZE, true);
    view.setUint32(blockConfigOffset.maxWriteZeroesSectors, blocks.maxWriteZeroes / blk.SECTOR_SIZE, true);
    view.setUint32(blockConfigOffset.maxWriteZeroesSeg, limits.maxWriteZeroesRanges, true);
    view.setUint8(blockConfigOffset.writeZeroesMayUnmap, 1);
  }
  return {
    deviceId: VIRTIO_ID_BLOCK,
    vendorId: 0,
    features: bits.reduce((features, bit) => features | (1n << bit), ringFeatures(packed)),
    config,
    queueCount: queues,
    queueSize,
  };
}

/** The field of the configuration space with the size of the device. @param size in bytes */
export function capacityField(size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size / blk.SECTOR_SIZE), true);
  return bytes;
}
