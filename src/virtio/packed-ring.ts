/**
 * The packed virtqueue in memory. Mirrors include/uapi/linux/virtio_ring.h; virtio specification, "Packed Virtqueues".
 *
 *     descriptor ring     num x { u64 address, u32 length, u16 id, u16 flags }     both sides write it
 *     driver's events     u16 off_wrap, u16 flags                                  the driver writes it
 *     device's events     u16 off_wrap, u16 flags                                  the device writes it
 *
 * The other flags of a descriptor and its size are those of a split one.
 */
import { DESCRIPTOR_SIZE } from './split-ring.js';

/** 1 << VRING_PACKED_DESC_F_AVAIL and 1 << VRING_PACKED_DESC_F_USED. */
export const DESC_F_AVAIL = 1 << 7;
export const DESC_F_USED = 1 << 15;

/** When the other side wants a notification. */
export const VRING_PACKED_EVENT_FLAG_ENABLE = 0;
export const VRING_PACKED_EVENT_FLAG_DISABLE = 1;
/** When the descriptor at off_wrap is made available, or used. With VIRTIO_RING_F_EVENT_IDX. */
export const VRING_PACKED_EVENT_FLAG_DESC = 2;
/** The valid bits of the flags. */
export const EVENT_FLAGS = 3;

/** 1 << VRING_PACKED_EVENT_F_WRAP_CTR: the wrap counter in an off_wrap, and in the position of a queue. */
export const WRAP_COUNTER = 1 << 15;

export const descriptorRingBytes = (size: number): number => size * DESCRIPTOR_SIZE;
export const EVENT_BYTES = 4;

/** Required alignment of each part. */
export const DESCRIPTOR_RING_ALIGNMENT = 16;
export const EVENT_ALIGNMENT = 4;

/** The flags that mark a descriptor as available, and as used, in a lap of the ring. */
export const availableFlags = (wrap: boolean): number => (wrap ? DESC_F_AVAIL : DESC_F_USED);
export const usedFlags = (wrap: boolean): number => (wrap ? DESC_F_AVAIL | DESC_F_USED : 0);
/** Whether flags mark a descriptor as available in a lap of the ring. */
export const isAvailable = (flags: number, wrap: boolean): boolean =>
  (flags & (DESC_F_AVAIL | DESC_F_USED)) === availableFlags(wrap);

/** A place in a ring of `size` descriptors, `count` places after another one; both with the wrap counter in bit 15. */
export function advance(position: number, count: number, size: number): number {
  const index = (position & ~WRAP_COUNTER) + count;
  if (index < size) return position + count;
  return (index - size) | (~position & WRAP_COUNTER);
}

/** The same, `count` places before it. */
export function goBack(position: number, count: number, size: number): number {
  const index = (position & ~WRAP_COUNTER) - count;
  if (index >= 0) return position - count;
  return (index + size) | (~position & WRAP_COUNTER);
}
