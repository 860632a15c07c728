import { featureBits } from './features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from './ids.js';

const names: Readonly<Partial<Record<number, string>>> = {
  [VIRTIO_ID_NET]: 'net',
  [VIRTIO_ID_BLOCK]: 'block',
};

/** iproute2's name for the class of a virtio device id: `net` or `block`; undefined for others. */
export function className(deviceId: number): string | undefined {
  return names[deviceId];
}

/** The same for every class: `class 4` for one without a name. */
export function describeClass(deviceId: number): string {
  return className(deviceId) ?? `class ${deviceId}`;
}

/** The virtio device ids in a mask of classes, ascending. Id 0 is reserved and never included. */
export function deviceClasses(supportedClasses: bigint): number[] {
  return featureBits(supportedClasses & ~1n);
}
