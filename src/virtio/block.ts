/**
 * The block device's protocol. Mirrors include/uapi/linux/virtio_blk.h; virtio specification, "Block Device".
 */

/** Feature bits. */
export const VIRTIO_BLK_F_SIZE_MAX = 1n;
export const VIRTIO_BLK_F_SEG_MAX = 2n;
export const VIRTIO_BLK_F_RO = 5n;
export const VIRTIO_BLK_F_BLK_SIZE = 6n;
export const VIRTIO_BLK_F_FLUSH = 9n;
export const VIRTIO_BLK_F_TOPOLOGY = 10n;
export const VIRTIO_BLK_F_MQ = 12n;
export const VIRTIO_BLK_F_DISCARD = 13n;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14n;

/** Size of the sectors in which positions and lengths are counted, whatever the block size. */
export const SECTOR_SIZE = 512;

/** struct virtio_blk_outhdr: u32 type, u32 priority, u64 sector. */
export const HEADER_SIZE = 16;

/** Request types. */
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

/** Length of a serial number; a shorter one ends with a NUL. */
export const VIRTIO_BLK_ID_BYTES = 20;

/** struct virtio_blk_discard_write_zeroes: u64 sector, u32 sectors, u32 flags. */
export const RANGE_SIZE = 16;
export const VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 1;

/** Values of the last byte of a completed request. */
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;
