/** The kernel's simulated block device: drivers/vdpa/vdpa_sim/vdpa_sim_blk.c */
import { viewOf } from '../../../netlink/bytes.js';
import { Errno } from '../../../sys/errno.js';
import { SECTOR_SIZE } from '../../../virtio/block.js';
import { blockConfigLength, blockConfigOffset } from '../../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK } from '../../../virtio/ids.js';
import { featureMask } from '../../../virtio/feature-mask.js';
import { Refusal } from '../../netlink/refusal.js';
import type { SoftwareManagementDevice } from '../../state/model.js';
import type { ManagementDriver } from './driver.js';
import { maxVirtqueueSize, rootNames } from './vdpasim.js';
import { formatHandle } from '../../../vdpa/model.js';

/** 128 MiB in sectors of 512 bytes. */
const capacity = 0x4_0000n;
const noLimit = 0xffff_ffff;

/** Not reported by its management device. */
const features = featureMask(VIRTIO_ID_BLOCK, [
  'SIZE_MAX',
  'SEG_MAX',
  'BLK_SIZE',
  'FLUSH',
  'TOPOLOGY',
  'MQ',
  'DISCARD',
  'WRITE_ZEROES',
  'ANY_LAYOUT',
  'VERSION_1',
  'ACCESS_PLATFORM',
]);

/** Constant: vdpasim_blk rewrites the configuration space at each read. */
const config = makeConfig();

export const vdpasimBlk: ManagementDriver<SoftwareManagementDevice> = {
  configAttributes: () => 0n,

  add: (_state, management, name) => ({ name, mgmtdev: formatHandle(management) }),

  open: () => ({
    deviceId: VIRTIO_ID_BLOCK,
    vendorId: 0,
    virtqueues: 1,
    maxVirtqueueSize,
    minVirtqueueSize: 1,
    features,
    config,
    writeVendorStats: () => {
      throw new Refusal(Errno.EOPNOTSUPP);
    },
  }),

  takenNames: (state) => rootNames(state.machine.mgmtdev),
};

function makeConfig(): Uint8Array {
  const bytes = new Uint8Array(blockConfigLength);
  const view = viewOf(bytes);
  view.setBigUint64(blockConfigOffset.capacity, capacity, true);
  view.setUint32(blockConfigOffset.sizeMax, 0x1000, true);
  view.setUint32(blockConfigOffset.segMax, 32, true);
  view.setUint32(blockConfigOffset.blkSize, SECTOR_SIZE, true);
  view.setUint16(blockConfigOffset.minIoSize, 1, true);
  view.setUint32(blockConfigOffset.optIoSize, 1, true);
  view.setUint16(blockConfigOffset.numQueues, 1, true);
  view.setUint32(blockConfigOffset.maxDiscardSectors, noLimit, true);
  view.setUint32(blockConfigOffset.maxDiscardSeg, 1, true);
  view.setUint32(blockConfigOffset.discardSectorAlignment, SECTOR_SIZE, true);
  view.setUint32(blockConfigOffset.maxWriteZeroesSectors, noLimit, true);
  view.setUint32(blockConfigOffset.maxWriteZeroesSeg, 1, true);
  return bytes;
}
