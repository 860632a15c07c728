/** Numbers and names of the vdpa generic netlink family. Mirrors include/uapi/linux/vdpa.h. */

export const VDPA_GENL_NAME = 'vdpa';
export const VDPA_GENL_VERSION = 1;

export const VDPA_CMD_MGMTDEV_NEW = 1;
/** Can dump. */
export const VDPA_CMD_MGMTDEV_GET = 2;
export const VDPA_CMD_DEV_NEW = 3;
export const VDPA_CMD_DEV_DEL = 4;
/** Can dump. */
export const VDPA_CMD_DEV_GET = 5;
/** Can dump. */
export const VDPA_CMD_DEV_CONFIG_GET = 6;
export const VDPA_CMD_DEV_VSTATS_GET = 7;
export const VDPA_CMD_DEV_ATTR_SET = 8;

export type VdpaCommandNumber =
  | typeof VDPA_CMD_MGMTDEV_NEW
  | typeof VDPA_CMD_MGMTDEV_GET
  | typeof VDPA_CMD_DEV_NEW
  | typeof VDPA_CMD_DEV_DEL
  | typeof VDPA_CMD_DEV_GET
  | typeof VDPA_CMD_DEV_CONFIG_GET
  | typeof VDPA_CMD_DEV_VSTATS_GET
  | typeof VDPA_CMD_DEV_ATTR_SET;

/** Pads a u64 to eight bytes; carries nothing. */
export const VDPA_ATTR_PAD = 0;
/** string; with MGMTDEV_DEV_NAME the handle of a management device, absent for one without a bus. */
export const VDPA_ATTR_MGMTDEV_BUS_NAME = 1;
/** string */
export const VDPA_ATTR_MGMTDEV_DEV_NAME = 2;
/** u64, a bit for each virtio device id */
export const VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES = 3;
/** string */
export const VDPA_ATTR_DEV_NAME = 4;
/** u32, the virtio device id */
export const VDPA_ATTR_DEV_ID = 5;
/** u32 */
export const VDPA_ATTR_DEV_VENDOR_ID = 6;
/** u32 */
export const VDPA_ATTR_DEV_MAX_VQS = 7;
/** u16 */
export const VDPA_ATTR_DEV_MAX_VQ_SIZE = 8;
/** u16 */
export const VDPA_ATTR_DEV_MIN_VQ_SIZE = 9;
/** six bytes */
export const VDPA_ATTR_DEV_NET_CFG_MACADDR = 10;
/** The header says u8; drivers/vdpa/vdpa.c sends u16. */
export const VDPA_ATTR_DEV_NET_STATUS = 11;
/** u16 */
export const VDPA_ATTR_DEV_NET_CFG_MAX_VQP = 12;
/** u16 */
export const VDPA_ATTR_DEV_NET_CFG_MTU = 13;
/** u64 */
export const VDPA_ATTR_DEV_NEGOTIATED_FEATURES = 14;
/** u32 */
export const VDPA_ATTR_DEV_MGMTDEV_MAX_VQS = 15;
/** u64, virtio features that the management device supports */
export const VDPA_ATTR_DEV_SUPPORTED_FEATURES = 16;
/** u32 */
export const VDPA_ATTR_DEV_QUEUE_INDEX = 17;
/** string */
export const VDPA_ATTR_DEV_VENDOR_ATTR_NAME = 18;
/** u64 */
export const VDPA_ATTR_DEV_VENDOR_ATTR_VALUE = 19;
/** u64, virtio features that the device is provisioned with */
export const VDPA_ATTR_DEV_FEATURES = 20;
/**
 * u64, for network devices in kernels without {@link VDPA_ATTR_DEV_BLK_CFG_CAPACITY}, such as 6.1: the value of {@link
 * VDPA_ATTR_DEV_FEATURES} in later kernels.
 */
export const VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES = 21;
/** u64, 512-byte sectors */
export const VDPA_ATTR_DEV_BLK_CFG_CAPACITY = 21;
/** u32, bytes */
export const VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX = 22;
/** u32, bytes */
export const VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE = 23;
/** u32 */
export const VDPA_ATTR_DEV_BLK_CFG_SEG_MAX = 24;
/** u16 */
export const VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES = 25;
/** u8, log2 of logical blocks in a physical one */
export const VDPA_ATTR_DEV_BLK_CFG_PHY_BLK_EXP = 26;
/** u8, logical blocks */
export const VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET = 27;
/** u16, logical blocks */
export const VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE = 28;
/** u32, logical blocks */
export const VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE = 29;
/** u32, 512-byte sectors */
export const VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEC = 30;
/** u32 */
export const VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG = 31;
/** u32, 512-byte sectors */
export const VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN = 32;
/** u32, 512-byte sectors */
export const VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC = 33;
/** u32 */
export const VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG = 34;
/** u8, 0 or 1 */
export const VDPA_ATTR_DEV_BLK_READ_ONLY = 35;
/** u8, 0 or 1 */
export const VDPA_ATTR_DEV_BLK_FLUSH = 36;
/** As in every generic netlink family, the maximum is itself a valid, unused type. */
export const VDPA_ATTR_MAX = 37;
