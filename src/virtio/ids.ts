/** virtio device ids. Mirrors include/uapi/linux/virtio_ids.h; virtio specification, section "Device Types". */

export const VIRTIO_ID_NET = 1;
export const VIRTIO_ID_BLOCK = 2;
