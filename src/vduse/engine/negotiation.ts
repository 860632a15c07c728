import { WRAP_COUNTER } from '../../virtio/packed-ring.js';
import { MAX_QUEUE_SIZE } from '../../virtio/split-ring.js';
import type { QueueInfo } from '../kernel/device.js';
import type { QueueSetup } from './queue.js';

const VIRTIO_RING_F_INDIRECT_DESC = 28n;
const VIRTIO_RING_F_EVENT_IDX = 29n;
const VIRTIO_F_VERSION_1 = 32n;
const VIRTIO_F_ACCESS_PLATFORM = 33n;
/** The driver may use packed virtqueues. VDUSE and the drivers of vdpa devices pass it through. */
export const VIRTIO_F_RING_PACKED = 34n;

/** Feature bits that every device of vdpa offers: those that the virtqueues and VDUSE need and support. */
export const RING_FEATURES =
  (1n << VIRTIO_RING_F_INDIRECT_DESC) |
  (1n << VIRTIO_RING_F_EVENT_IDX) |
  (1n << VIRTIO_F_VERSION_1) |
  (1n << VIRTIO_F_ACCESS_PLATFORM);

/** The same with what else the device offers. @param packed whether drivers may use packed virtqueues */
export function ringFeatures(packed: boolean): bigint {
  return RING_FEATURES | (packed ? 1n << VIRTIO_F_RING_PACKED : 0n);
}

const NEEDED = (1n << VIRTIO_F_VERSION_1) | (1n << VIRTIO_F_ACCESS_PLATFORM);

export function hasFeature(features: bigint, bit: bigint): boolean {
  return ((features >> bit) & 1n) === 1n;
}

/**
 * Checks the features that a driver accepted, which the kernel passes on unchecked. @returns undefined if they are not
 * acceptable
 */
export function negotiated(taken: bigint, offered: bigint): bigint | undefined {
  return (taken & ~offered) === 0n && (taken & NEEDED) === NEEDED ? taken : undefined;
}

/** Where the driver lets the device begin in a queue; see Virtqueue.nextUsed. */
export function initialPosition(info: QueueInfo, features: bigint): number {
  return hasFeature(features, VIRTIO_F_RING_PACKED) ? info.packed.used : info.split.available;
}

/** Checks the addresses and the state of a queue. @param begin deviations from the state that the driver has set */
export function queueSetup(
  index: number,
  info: QueueInfo,
  features: bigint,
  maxSize: number,
  begin: Partial<Pick<QueueSetup, 'position' | 'resume'>> = {},
): QueueSetup | 'not ready' | 'invalid' {
  if (!info.ready) return 'not ready';
  const { size } = info;
  const places = [info.descriptorArea, info.driverArea, info.deviceArea];
  const packed = hasFeature(features, VIRTIO_F_RING_PACKED);
  if (size === 0 || size > Math.min(maxSize, MAX_QUEUE_SIZE)) return 'invalid';
  if (!packed && (size & (size - 1)) !== 0) return 'invalid';
  if (places.some((place) => place > BigInt(Number.MAX_SAFE_INTEGER))) return 'invalid';
  // Chains that another device had in flight are unknown here.
  if (packed && info.packed.available !== info.packed.used) return 'invalid';
  const position = begin.position ?? initialPosition(info, features);
  if (packed && (position & ~WRAP_COUNTER) >= size) return 'invalid';
  return {
    index,
    position,
    resume: begin.resume ?? false,
    layout: {
      packed,
      size,
      descriptorArea: Number(info.descriptorArea),
      driverArea: Number(info.driverArea),
      deviceArea: Number(info.deviceArea),
      eventIndex: hasFeature(features, VIRTIO_RING_F_EVENT_IDX),
      indirect: hasFeature(features, VIRTIO_RING_F_INDIRECT_DESC),
      maxChain: maxSize,
    },
  };
}
