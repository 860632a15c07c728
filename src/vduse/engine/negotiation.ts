import { MAX_QUEUE_SIZE } from '../../virtio/ring.js';
import type { QueueInfo } from '../kernel/device.js';
import type { QueueSetup } from './queue.js';

const VIRTIO_RING_F_INDIRECT_DESC = 28n;
const VIRTIO_RING_F_EVENT_IDX = 29n;
const VIRTIO_F_VERSION_1 = 32n;
const VIRTIO_F_ACCESS_PLATFORM = 33n;

/** Feature bits that every device of vdpa offers: those that the virtqueues and VDUSE need and support. */
export const RING_FEATURES =
  (1n << VIRTIO_RING_F_INDIRECT_DESC) |
  (1n << VIRTIO_RING_F_EVENT_IDX) |
  (1n << VIRTIO_F_VERSION_1) |
  (1n << VIRTIO_F_ACCESS_PLATFORM);

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

/**
 * Checks the addresses of a queue.
 * @param begin the initial available index; undefined to continue at the end of the used ring
 */
export function queueSetup(
  index: number,
  info: QueueInfo,
  features: bigint,
  maxSize: number,
  begin: number | undefined,
): QueueSetup | 'not ready' | 'invalid' {
  if (!info.ready) return 'not ready';
  const { size } = info;
  const places = [info.descriptorTable, info.availableRing, info.usedRing];
  const isPowerOfTwo = size > 0 && (size & (size - 1)) === 0;
  if (!isPowerOfTwo || size > Math.min(maxSize, MAX_QUEUE_SIZE)) return 'invalid';
  if (places.some((place) => place > BigInt(Number.MAX_SAFE_INTEGER))) return 'invalid';
  return {
    index,
    availableIndex: begin,
    layout: {
      size,
      descriptorTable: Number(info.descriptorTable),
      availableRing: Number(info.availableRing),
      usedRing: Number(info.usedRing),
      eventIndex: hasFeature(features, VIRTIO_RING_F_EVENT_IDX),
      indirect: hasFeature(features, VIRTIO_RING_F_INDIRECT_DESC),
      maxChain: maxSize,
    },
  };
}
