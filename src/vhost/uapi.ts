/**
 * Numbers of the user API of /dev/vhost-vdpa-N. Mirrors include/uapi/linux/vhost.h and vhost_types.h: the requests that
 * drivers/vhost/vdpa.c answers, itself or through drivers/vhost/vhost.c.
 */
import { io, ior, iow, iowr } from '../sys/ioctl-request.js';

const VHOST_VIRTIO = 0xaf;

/** `struct vhost_vring_state`: u32 index, u32 num. */
const VRING_STATE = 8;
/** `struct vhost_vring_file`: u32 index, s32 fd. */
const VRING_FILE = 8;

export const VHOST_GET_FEATURES = ior(VHOST_VIRTIO, 0x00, 8);
export const VHOST_SET_FEATURES = iow(VHOST_VIRTIO, 0x00, 8);
export const VHOST_SET_OWNER = io(VHOST_VIRTIO, 0x01);
export const VHOST_SET_VRING_NUM = iow(VHOST_VIRTIO, 0x10, VRING_STATE);
/** `struct vhost_vring_addr`: u32 index, u32 flags, u64 descriptors, u64 used, u64 available, u64 log. */
export const VHOST_SET_VRING_ADDR = iow(VHOST_VIRTIO, 0x11, 40);
export const VHOST_SET_VRING_BASE = iow(VHOST_VIRTIO, 0x12, VRING_STATE);
export const VHOST_GET_VRING_BASE = iowr(VHOST_VIRTIO, 0x12, VRING_STATE);
export const VHOST_SET_VRING_KICK = iow(VHOST_VIRTIO, 0x20, VRING_FILE);
export const VHOST_SET_VRING_CALL = iow(VHOST_VIRTIO, 0x21, VRING_FILE);
export const VHOST_SET_VRING_ERR = iow(VHOST_VIRTIO, 0x22, VRING_FILE);
export const VHOST_SET_BACKEND_FEATURES = iow(VHOST_VIRTIO, 0x25, 8);
export const VHOST_GET_BACKEND_FEATURES = ior(VHOST_VIRTIO, 0x26, 8);
export const VHOST_VDPA_GET_DEVICE_ID = ior(VHOST_VIRTIO, 0x70, 4);
export const VHOST_VDPA_GET_STATUS = ior(VHOST_VIRTIO, 0x71, 1);
export const VHOST_VDPA_SET_STATUS = iow(VHOST_VIRTIO, 0x72, 1);
/** `struct vhost_vdpa_config`: u32 off, u32 len, then the bytes. */
export const VHOST_VDPA_GET_CONFIG = ior(VHOST_VIRTIO, 0x73, 8);
export const VHOST_VDPA_SET_CONFIG = iow(VHOST_VIRTIO, 0x74, 8);
export const VHOST_VDPA_SET_VRING_ENABLE = iow(VHOST_VIRTIO, 0x75, VRING_STATE);
export const VHOST_VDPA_GET_VRING_NUM = ior(VHOST_VIRTIO, 0x76, 2);
export const VHOST_VDPA_SET_CONFIG_CALL = iow(VHOST_VIRTIO, 0x77, 4);
/** `struct vhost_vdpa_iova_range`: u64 first, u64 last. */
export const VHOST_VDPA_GET_IOVA_RANGE = ior(VHOST_VIRTIO, 0x78, 16);
export const VHOST_VDPA_GET_CONFIG_SIZE = ior(VHOST_VIRTIO, 0x79, 4);
export const VHOST_VDPA_GET_AS_NUM = ior(VHOST_VIRTIO, 0x7a, 4);
export const VHOST_VDPA_GET_VRING_GROUP = iowr(VHOST_VIRTIO, 0x7b, VRING_STATE);
export const VHOST_VDPA_SET_GROUP_ASID = iow(VHOST_VIRTIO, 0x7c, VRING_STATE);
export const VHOST_VDPA_SUSPEND = io(VHOST_VIRTIO, 0x7d);
export const VHOST_VDPA_RESUME = io(VHOST_VIRTIO, 0x7e);
export const VHOST_VDPA_GET_VRING_DESC_GROUP = iowr(VHOST_VIRTIO, 0x7f, VRING_STATE);
export const VHOST_VDPA_GET_VQS_COUNT = ior(VHOST_VIRTIO, 0x80, 4);
export const VHOST_VDPA_GET_GROUP_NUM = ior(VHOST_VIRTIO, 0x81, 4);
export const VHOST_VDPA_GET_VRING_SIZE = iowr(VHOST_VIRTIO, 0x82, VRING_STATE);

/** The file descriptor that removes an eventfd. */
export const VHOST_FILE_UNBIND = -1;

/** Bits of the backend features, those of the kernel's side of the node. */
export const VHOST_BACKEND_F_IOTLB_MSG_V2 = 1n;
export const VHOST_BACKEND_F_IOTLB_BATCH = 2n;
export const VHOST_BACKEND_F_IOTLB_ASID = 3n;
export const VHOST_BACKEND_F_SUSPEND = 4n;
export const VHOST_BACKEND_F_RESUME = 5n;
export const VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK = 6n;
export const VHOST_BACKEND_F_DESC_ASID = 7n;
export const VHOST_BACKEND_F_IOTLB_PERSIST = 8n;

/**
 * `struct vhost_msg_v2`, written to the node: u32 type, u32 asid, then in a union of 64 bytes `struct vhost_iotlb_msg`:
 * u64 iova, u64 size, u64 uaddr, u8 perm, u8 type.
 */
export const VHOST_IOTLB_MSG_V2 = 2;
export const IOTLB_MSG_V2_SIZE = 72;

export const VHOST_IOTLB_UPDATE = 2;
export const VHOST_IOTLB_INVALIDATE = 3;
export const VHOST_IOTLB_BATCH_BEGIN = 5;
export const VHOST_IOTLB_BATCH_END = 6;

export const VHOST_ACCESS_RO = 1;
export const VHOST_ACCESS_WO = 2;
export const VHOST_ACCESS_RW = 3;
