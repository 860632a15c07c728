/** Types of virtio devices by name and by device id. */
import { featureBits } from './features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from './ids.js';

/** A type of devices that has a name. */
export type DeviceType = 'net' | 'block';

const ids: Readonly<Record<DeviceType, number>> = { net: VIRTIO_ID_NET, block: VIRTIO_ID_BLOCK };

/** The types of devices that have a name, as iproute2 spells them. */
export const deviceTypeNames: readonly DeviceType[] = ['net', 'block'];

/** The name of the type of a virtio device id: `net` for 1, `block` for 2; undefined for others. */
export function deviceTypeName(deviceId: number): DeviceType | undefined {
  return deviceTypeNames.find((name) => ids[name] === deviceId);
}

/** The virtio device id of a type: 1 for `net`, 2 for `block`. */
export function deviceTypeId(type: DeviceType): number {
  return ids[type];
}

/** The name for every device id: `class 4` for one without a name. */
export function describeClass(deviceId: number): string {
  return deviceTypeName(deviceId) ?? `class ${deviceId}`;
}

/** The virtio device ids in a mask of classes, ascending. Id 0 is reserved and never included. */
export function deviceClasses(supportedClasses: bigint): number[] {
  return featureBits(supportedClasses & ~1n);
}
