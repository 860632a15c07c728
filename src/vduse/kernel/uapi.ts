/**
 * VDUSE's interface to user space. Mirrors include/uapi/linux/vduse.h, API versions 0 and 1.
 */
import { io, ior, iow, iowr } from '../../sys/ioctl-request.js';

const VDUSE_BASE = 0x81;

export const VDUSE_API_VERSION = 0n;
/** Virtqueue groups and address space ids. */
export const VDUSE_API_VERSION_1 = 1n;

/** Bits of VDUSE_SET_FEATURES. */
/** The kernel asks the server before a queue is made ready. */
export const VDUSE_F_QUEUE_READY = 0n;
/** The kernel can ask the server to suspend. */
export const VDUSE_F_SUSPEND = 1n;

/** Length of a name in bytes, including its NUL. */
export const VDUSE_NAME_MAX = 256;

/** struct vduse_dev_config: offsets of its fields. The configuration space follows it. */
export const deviceConfig = {
  name: 0,
  vendorId: 256,
  deviceId: 260,
  features: 264,
  queueCount: 272,
  queueAlign: 276,
  groupCount: 280,
  addressSpaceCount: 284,
  configSize: 332,
  length: 336,
} as const;

/** struct vduse_iotlb_entry, and struct vduse_iotlb_entry_v2 with the additional fields. */
export const iotlbEntry = { offset: 0, start: 8, last: 16, perm: 24, length: 32, asid: 32, lengthV2: 80 } as const;

export const VDUSE_ACCESS_RO = 0x1;
export const VDUSE_ACCESS_WO = 0x2;
export const VDUSE_ACCESS_RW = 0x3;

/** struct vduse_config_data. The bytes follow it. */
export const configData = { offset: 0, size: 4, length: 8 } as const;

/** struct vduse_vq_config. */
export const queueConfig = { index: 0, maxSize: 4, group: 8, length: 32 } as const;

/** struct vduse_vq_state_packed; struct vduse_vq_state_split is one u16, the available index. */
const statePacked = (at: number) =>
  ({ lastAvailableCounter: at, lastAvailableIndex: at + 2, lastUsedCounter: at + 4, lastUsedIndex: at + 6 }) as const;

/** struct vduse_vq_info. */
export const queueInfo = {
  index: 0,
  size: 4,
  descriptorArea: 8,
  driverArea: 16,
  deviceArea: 24,
  split: { availableIndex: 32 },
  packed: statePacked(32),
  ready: 40,
  length: 48,
} as const;

/** struct vduse_vq_eventfd. */
export const queueEventfd = { index: 0, fd: 4, length: 8 } as const;
export const VDUSE_EVENTFD_DEASSIGN = -1;

/** struct vduse_iova_umem. */
export const iovaUmem = { address: 0, iova: 8, size: 16, asid: 24, length: 48 } as const;

/** struct vduse_iova_info. */
export const iovaInfo = { start: 0, last: 8, capability: 16, asid: 24, length: 48 } as const;
export const VDUSE_IOVA_CAP_UMEM = 1n;

/** ioctls of /dev/vduse/control. */
export const VDUSE_GET_API_VERSION = ior(VDUSE_BASE, 0x00, 8);
export const VDUSE_SET_API_VERSION = iow(VDUSE_BASE, 0x01, 8);
export const VDUSE_CREATE_DEV = iow(VDUSE_BASE, 0x02, deviceConfig.length);
export const VDUSE_DESTROY_DEV = iow(VDUSE_BASE, 0x03, VDUSE_NAME_MAX);
export const VDUSE_GET_FEATURES = ior(VDUSE_BASE, 0x04, 8);
export const VDUSE_SET_FEATURES = iow(VDUSE_BASE, 0x05, 8);

/** ioctls of /dev/vduse/NAME. */
export const VDUSE_IOTLB_GET_FD = iowr(VDUSE_BASE, 0x10, iotlbEntry.length);
export const VDUSE_DEV_GET_FEATURES = ior(VDUSE_BASE, 0x11, 8);
export const VDUSE_DEV_SET_CONFIG = iow(VDUSE_BASE, 0x12, configData.length);
export const VDUSE_DEV_INJECT_CONFIG_IRQ = io(VDUSE_BASE, 0x13);
export const VDUSE_VQ_SETUP = iow(VDUSE_BASE, 0x14, queueConfig.length);
export const VDUSE_VQ_GET_INFO = iowr(VDUSE_BASE, 0x15, queueInfo.length);
export const VDUSE_VQ_SETUP_KICKFD = iow(VDUSE_BASE, 0x16, queueEventfd.length);
export const VDUSE_VQ_INJECT_IRQ = iow(VDUSE_BASE, 0x17, 4);
export const VDUSE_IOTLB_REG_UMEM = iow(VDUSE_BASE, 0x18, iovaUmem.length);
export const VDUSE_IOTLB_DEREG_UMEM = iow(VDUSE_BASE, 0x19, iovaUmem.length);
export const VDUSE_IOTLB_GET_INFO = iowr(VDUSE_BASE, 0x1a, iovaInfo.length);
export const VDUSE_IOTLB_GET_FD2 = iowr(VDUSE_BASE, 0x1b, iotlbEntry.lengthV2);

/** enum vduse_req_type. */
export const VDUSE_GET_VQ_STATE = 0;
export const VDUSE_SET_STATUS = 1;
export const VDUSE_UPDATE_IOTLB = 2;
export const VDUSE_SET_VQ_GROUP_ASID = 3;
export const VDUSE_SET_VQ_READY = 4;
export const VDUSE_SUSPEND = 5;

/** struct vduse_dev_request: a header, followed by data that depends on the type. */
export const request = {
  type: 0,
  id: 4,
  queueState: { index: 24 },
  status: 24,
  iova: { start: 24, last: 32, asid: 40 },
  groupAsid: { group: 24, asid: 28 },
  queueReady: { index: 24, ready: 28 },
  length: 152,
} as const;

/** struct vduse_dev_response. */
export const response = {
  id: 0,
  result: 4,
  queueState: { index: 24, split: { availableIndex: 28 }, packed: statePacked(28) },
  length: 152,
} as const;

export const VDUSE_REQ_RESULT_OK = 0;
export const VDUSE_REQ_RESULT_FAILED = 1;
