/** Messages about the configuration of a device: the vdpa_dev_*_config_fill() of drivers/vdpa/vdpa.c */
import { viewOf } from '../../netlink/bytes.js';
import { Errno } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';
import { blockConfigOffset, netConfigOffset } from '../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { featureMask } from '../../virtio/feature-mask.js';
import type { VdpaDevice } from '../machine/management/driver.js';
import type { MessageBuffer } from '../netlink/message-buffer.js';
import { Refusal } from '../netlink/refusal.js';

const net = (...names: string[]): bigint => featureMask(VIRTIO_ID_NET, names);
const block = (...names: string[]): bigint => featureMask(VIRTIO_ID_BLOCK, names);

const netFeature = { mtu: net('MTU'), mac: net('MAC'), status: net('STATUS'), pairs: net('MQ') | net('RSS') };
const blockFeature = {
  sizeMax: block('SIZE_MAX'),
  blkSize: block('BLK_SIZE'),
  segMax: block('SEG_MAX'),
  queues: block('MQ'),
  topology: block('TOPOLOGY'),
  discard: block('DISCARD'),
  writeZeroes: block('WRITE_ZEROES'),
  readOnly: block('RO'),
  flush: block('FLUSH'),
};

/** Writes the features and the configuration of the device. @throws Refusal EOPNOTSUPP for other types of devices */
export function writeConfig(buffer: MessageBuffer, device: VdpaDevice): void {
  switch (device.deviceId) {
    case VIRTIO_ID_NET:
      writeNetConfig(buffer, device);
      break;
    case VIRTIO_ID_BLOCK:
      writeBlockConfig(buffer, device);
      break;
    default:
      throw new Refusal(Errno.EOPNOTSUPP);
  }
}

function writeNetConfig(buffer: MessageBuffer, { features, config }: VdpaDevice): void {
  const view = viewOf(config);
  buffer.u64(uapi.VDPA_ATTR_DEV_FEATURES, features);
  if ((features & netFeature.mtu) !== 0n) {
    buffer.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU, view.getUint16(netConfigOffset.mtu, true));
  }
  if ((features & netFeature.mac) !== 0n) {
    buffer.bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, config.subarray(netConfigOffset.mac, netConfigOffset.mac + 6));
  }
  if ((features & netFeature.status) !== 0n) {
    buffer.u16(uapi.VDPA_ATTR_DEV_NET_STATUS, view.getUint16(netConfigOffset.status, true));
  }
  writeQueuePairs(buffer, config, features);
}

/** Writes the number of queue pairs of a network device, if it has more than one with these features. */
export function writeQueuePairs(buffer: MessageBuffer, config: Uint8Array, features: bigint): void {
  if ((features & netFeature.pairs) === 0n) return;
  const pairs = viewOf(config).getUint16(netConfigOffset.maxVirtqueuePairs, true);
  buffer.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP, pairs);
}

function writeBlockConfig(buffer: MessageBuffer, { features, config }: VdpaDevice): void {
  const has = (feature: bigint): boolean => (features & feature) !== 0n;
  const view = viewOf(config);
  const u16 = (attribute: number, offset: number): void => {
    buffer.u16(attribute, view.getUint16(offset, true));
  };
  const u32 = (attribute: number, offset: number): void => {
    buffer.u32(attribute, view.getUint32(offset, true));
  };
  buffer.u64(uapi.VDPA_ATTR_DEV_FEATURES, features);
  buffer.u64(uapi.VDPA_ATTR_DEV_BLK_CFG_CAPACITY, view.getBigUint64(blockConfigOffset.capacity, true));
  if (has(blockFeature.sizeMax)) u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX, blockConfigOffset.sizeMax);
  if (has(blockFeature.blkSize)) u32(uapi.VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE, blockConfigOffset.blkSize);
  if (has(blockFeature.segMax)) u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SEG_MAX, blockConfigOffset.segMax);
  if (has(blockFeature.queues)) u16(uapi.VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES, blockConfigOffset.numQueues);
  if (has(blockFeature.topology)) {
    buffer.u8(uapi.VDPA_ATTR_DEV_BLK_CFG_PHY_BLK_EXP, view.getUint8(blockConfigOffset.physicalBlockExp));
    buffer.u8(uapi.VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET, view.getUint8(blockConfigOffset.alignmentOffset));
    u16(uapi.VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE, blockConfigOffset.minIoSize);
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE, blockConfigOffset.optIoSize);
  }
  if (has(blockFeature.discard)) {
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEC, blockConfigOffset.maxDiscardSectors);
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG, blockConfigOffset.maxDiscardSeg);
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN, blockConfigOffset.discardSectorAlignment);
  }
  if (has(blockFeature.writeZeroes)) {
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC, blockConfigOffset.maxWriteZeroesSectors);
    u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG, blockConfigOffset.maxWriteZeroesSeg);
  }
  buffer.u8(uapi.VDPA_ATTR_DEV_BLK_READ_ONLY, has(blockFeature.readOnly) ? 1 : 0);
  buffer.u8(uapi.VDPA_ATTR_DEV_BLK_FLUSH, has(blockFeature.flush) ? 1 : 0);
}
