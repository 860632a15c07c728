/**
 * The split virtqueue in memory. Mirrors include/uapi/linux/virtio_ring.h; virtio specification, "Split Virtqueues".
 *
 *     descriptor table   num x { u64 address, u32 length, u16 flags, u16 next }
 *     available ring     u16 flags, u16 idx, num x u16 head, u16 used_event       the driver writes it
 *     used ring          u16 flags, u16 idx, num x { u32 head, u32 length }, u16 avail_event     the device writes it
 */

export const VRING_DESC_F_NEXT = 1;
export const VRING_DESC_F_WRITE = 2;
export const VRING_DESC_F_INDIRECT = 4;

export const VRING_AVAIL_F_NO_INTERRUPT = 1;
export const VRING_USED_F_NO_NOTIFY = 1;

export const DESCRIPTOR_SIZE = 16;

/** Maximum number of descriptors of a queue. */
export const MAX_QUEUE_SIZE = 32768;

/** Size in bytes of each part of a queue of `size` descriptors, including its event index. */
export const descriptorTableBytes = (size: number): number => size * DESCRIPTOR_SIZE;
export const availableRingBytes = (size: number): number => 4 + size * 2 + 2;
export const usedRingBytes = (size: number): number => 4 + size * 8 + 2;

/** Required alignment of each part. */
export const DESCRIPTOR_TABLE_ALIGNMENT = 16;
export const AVAILABLE_RING_ALIGNMENT = 2;
export const USED_RING_ALIGNMENT = 4;
