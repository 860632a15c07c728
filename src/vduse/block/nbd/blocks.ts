import type { NbdExport } from '../../../nbd/handshake.js';
import { blocksOfDisk } from '../disk-limits.js';
import { defaultBlockSizes, type BlockSizes } from '../identity.js';
import { DeviceOptionError } from '../../spec/error.js';

/**
 * The sizes that a driver gets: those of the export, as far as the fields of virtio have them.
 * @param wanted size of the logical block; by default 512, or 4096 if the export has larger blocks
 * @throws DeviceOptionError if the export cannot be accessed in such blocks
 */
export function blocksOfExport(
  { minimumBlock, preferredBlock, maximumPayload }: NbdExport,
  wanted: BlockSizes['logical'] | undefined,
): BlockSizes {
  const logical = wanted ?? (minimumBlock > 512 ? 4096 : 512);
  if (minimumBlock > logical) {
    throw new DeviceOptionError(
      minimumBlock > 4096
        ? `The export has blocks of ${minimumBlock} bytes: more than 4096 are not supported`
        : `The export has blocks of ${minimumBlock} bytes: block_size ${logical} is not supported, use block_size 4096`,
    );
  }
  const limits = {
    alignmentOffset: 0,
    minimumIo: preferredBlock,
    optimalIo: Math.min(maximumPayload, defaultBlockSizes(logical).optimalIo),
    discardGranularity: logical,
    maxDiscard: 0,
    maxWriteZeroes: 0,
    zoned: 'none',
  };
  return blocksOfDisk(limits, { logical: minimumBlock, physical: minimumBlock }, logical);
}
