/** Names of the family's messages, as include/uapi/linux/vdpa.h spells them without VDPA_CMD_ and VDPA_ATTR_. */
import type { FamilyNames } from '../netlink/schema.js';
import * as uapi from './uapi.js';

export const vdpaNames: FamilyNames = {
  commands: {
    [uapi.VDPA_CMD_MGMTDEV_NEW]: 'MGMTDEV_NEW',
    [uapi.VDPA_CMD_MGMTDEV_GET]: 'MGMTDEV_GET',
    [uapi.VDPA_CMD_DEV_NEW]: 'DEV_NEW',
    [uapi.VDPA_CMD_DEV_DEL]: 'DEV_DEL',
    [uapi.VDPA_CMD_DEV_GET]: 'DEV_GET',
    [uapi.VDPA_CMD_DEV_CONFIG_GET]: 'DEV_CONFIG_GET',
    [uapi.VDPA_CMD_DEV_VSTATS_GET]: 'DEV_VSTATS_GET',
    [uapi.VDPA_CMD_DEV_ATTR_SET]: 'DEV_ATTR_SET',
  },
  attributes: {
    [uapi.VDPA_ATTR_PAD]: ['PAD', 'bytes'],
    [uapi.VDPA_ATTR_MGMTDEV_BUS_NAME]: ['MGMTDEV_BUS_NAME', 'string'],
    [uapi.VDPA_ATTR_MGMTDEV_DEV_NAME]: ['MGMTDEV_DEV_NAME', 'string'],
    [uapi.VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES]: ['MGMTDEV_SUPPORTED_CLASSES', 'u64'],
    [uapi.VDPA_ATTR_DEV_NAME]: ['DEV_NAME', 'string'],
    [uapi.VDPA_ATTR_DEV_ID]: ['DEV_ID', 'u32'],
    [uapi.VDPA_ATTR_DEV_VENDOR_ID]: ['DEV_VENDOR_ID', 'u32'],
    [uapi.VDPA_ATTR_DEV_MAX_VQS]: ['DEV_MAX_VQS', 'u32'],
    [uapi.VDPA_ATTR_DEV_MAX_VQ_SIZE]: ['DEV_MAX_VQ_SIZE', 'u16'],
    [uapi.VDPA_ATTR_DEV_MIN_VQ_SIZE]: ['DEV_MIN_VQ_SIZE', 'u16'],
    [uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR]: ['DEV_NET_CFG_MACADDR', 'bytes'],
    [uapi.VDPA_ATTR_DEV_NET_STATUS]: ['DEV_NET_STATUS', 'u16'],
    [uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP]: ['DEV_NET_CFG_MAX_VQP', 'u16'],
    [uapi.VDPA_ATTR_DEV_NET_CFG_MTU]: ['DEV_NET_CFG_MTU', 'u16'],
    [uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES]: ['DEV_NEGOTIATED_FEATURES', 'u64'],
    [uapi.VDPA_ATTR_DEV_MGMTDEV_MAX_VQS]: ['DEV_MGMTDEV_MAX_VQS', 'u32'],
    [uapi.VDPA_ATTR_DEV_SUPPORTED_FEATURES]: ['DEV_SUPPORTED_FEATURES', 'u64'],
    [uapi.VDPA_ATTR_DEV_QUEUE_INDEX]: ['DEV_QUEUE_INDEX', 'u32'],
    [uapi.VDPA_ATTR_DEV_VENDOR_ATTR_NAME]: ['DEV_VENDOR_ATTR_NAME', 'string'],
    [uapi.VDPA_ATTR_DEV_VENDOR_ATTR_VALUE]: ['DEV_VENDOR_ATTR_VALUE', 'u64'],
    [uapi.VDPA_ATTR_DEV_FEATURES]: ['DEV_FEATURES', 'u64'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_CAPACITY]: ['DEV_BLK_CFG_CAPACITY', 'u64'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX]: ['DEV_BLK_CFG_SIZE_MAX', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE]: ['DEV_BLK_CFG_BLK_SIZE', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_SEG_MAX]: ['DEV_BLK_CFG_SEG_MAX', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES]: ['DEV_BLK_CFG_NUM_QUEUES', 'u16'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_PHY_BLK_EXP]: ['DEV_BLK_CFG_PHY_BLK_EXP', 'u8'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET]: ['DEV_BLK_CFG_ALIGN_OFFSET', 'u8'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE]: ['DEV_BLK_CFG_MIN_IO_SIZE', 'u16'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE]: ['DEV_BLK_CFG_OPT_IO_SIZE', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEC]: ['DEV_BLK_CFG_MAX_DISCARD_SEC', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG]: ['DEV_BLK_CFG_MAX_DISCARD_SEG', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN]: ['DEV_BLK_CFG_DISCARD_SEC_ALIGN', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC]: ['DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG]: ['DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG', 'u32'],
    [uapi.VDPA_ATTR_DEV_BLK_READ_ONLY]: ['DEV_BLK_READ_ONLY', 'u8'],
    [uapi.VDPA_ATTR_DEV_BLK_FLUSH]: ['DEV_BLK_FLUSH', 'u8'],
  },
};

/** The name of an attribute: `DEV_NET_CFG_MTU`; `ATTR_99` for one that is newer than this program. */
export function vdpaAttributeName(type: number): string {
  return vdpaNames.attributes[type]?.[0] ?? `ATTR_${type}`;
}

/** The name of a command: `DEV_NEW`; `CMD_9` for one that is newer than this program. */
export function vdpaCommandName(command: number): string {
  return vdpaNames.commands[command] ?? `CMD_${command}`;
}
