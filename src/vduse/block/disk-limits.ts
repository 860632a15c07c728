/** What the kernel says of a block device: Documentation/ABI/stable/sysfs-block. */
import { readFileSync } from 'node:fs';
import { DeviceOptionError } from '../spec/error.js';
import { defaultBlockSizes, MAX_DISCARD, MAX_ZEROES, type BlockSizes } from './identity.js';

/** Properties of a disk, in bytes; 0 where the disk does not support it, or the kernel does not say. */
export interface DiskLimits {
  /** The distance of the start of the device from a physical block of the disk. */
  readonly alignmentOffset: number;
  readonly minimumIo: number;
  readonly optimalIo: number;
  readonly discardGranularity: number;
  readonly maxDiscard: number;
  readonly maxWriteZeroes: number;
  readonly zoned: string;
}

/** @param folder that of the block device in sysfs: /sys/dev/block/MAJOR:MINOR */
export function readDiskLimits(folder: string): DiskLimits {
  const ofDevice = (name: string): string | undefined => readAttribute(`${folder}/${name}`);
  // A partition uses the queue of its disk.
  const ofQueue = (name: string): string | undefined => ofDevice(`queue/${name}`) ?? ofDevice(`../queue/${name}`);
  return {
    alignmentOffset: toBytes(ofDevice('alignment_offset')),
    minimumIo: toBytes(ofQueue('minimum_io_size')),
    optimalIo: toBytes(ofQueue('optimal_io_size')),
    discardGranularity: toBytes(ofQueue('discard_granularity')),
    maxDiscard: toBytes(ofQueue('discard_max_bytes')),
    maxWriteZeroes: toBytes(ofQueue('write_zeroes_max_bytes')),
    zoned: ofQueue('zoned') ?? 'none',
  };
}

function readAttribute(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    // The kernel does not have it, or sysfs is not mounted.
    return undefined;
  }
}

/** An alignment of -1 means that nothing is aligned. */
function toBytes(text: string | undefined): number {
  const bytes = Number(text);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0;
}

/**
 * The sizes that a driver gets: those of the disk, as far as the fields of virtio have them.
 * @param own those of the disk's blocks, in bytes
 * @param wanted size of the logical block; by default that of the disk
 */
export function blocksOfDisk(
  disk: DiskLimits,
  own: { readonly logical: number; readonly physical: number },
  wanted: BlockSizes['logical'] | undefined,
): BlockSizes {
  const logical = wanted ?? (own.logical > 512 ? 4096 : 512);
  const plain = defaultBlockSizes(logical);
  const physical = Math.max(own.physical, plain.physical);
  const wholeBlocks = (bytes: number, maximum: number): number | undefined => {
    const blocks = Math.floor(bytes / logical);
    return blocks > 0 && blocks <= maximum ? blocks * logical : undefined;
  };
  const isOffset = disk.alignmentOffset < physical && disk.alignmentOffset % logical === 0;
  // A driver splits a discard into granules: one that is not permitted would not be split.
  const isGranular = disk.discardGranularity >= logical && disk.discardGranularity <= MAX_DISCARD;
  const discard = isGranular ? disk.discardGranularity : plain.discard;
  return {
    logical,
    physical,
    alignmentOffset: isOffset ? (wholeBlocks(disk.alignmentOffset, 0xff) ?? 0) : 0,
    minimumIo: Math.max(wholeBlocks(disk.minimumIo, 0xffff) ?? 0, physical),
    optimalIo: wholeBlocks(disk.optimalIo, 0xffff_ffff) ?? plain.optimalIo,
    discard,
    maxDiscard: atMost(MAX_DISCARD, disk.maxDiscard, discard),
    maxWriteZeroes: atMost(MAX_ZEROES, disk.maxWriteZeroes, logical),
  };
}

/** Of our limit and the disk's, if there is one, whole units. */
function atMost(ours: number, disks: number, unit: number): number {
  const limit = disks === 0 ? ours : Math.min(ours, disks);
  return Math.max(limit - (limit % unit), unit);
}

/** A driver of a plain disk writes anywhere. @throws DeviceOptionError if the disk does not permit that */
export function refuseZoned(path: string, { zoned }: DiskLimits): void {
  if (zoned !== 'host-managed') return;
  throw new DeviceOptionError(
    `${path} is a host-managed zoned disk, which can only be written in sequence: not supported. ` +
      'dm-zoned(8) makes a plain disk of it',
  );
}
