/** VDUSE instances in the state of a simulated machine. */
import { blockConfigLength, netConfigLength } from '../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import type { DeviceIdentity } from '../../vduse/kernel/control.js';
import { busName, hex64 } from './model.js';
import type { SimState, VduseInstanceState } from './model.js';
import type { ServerEntry } from '../../vduse/spec/arguments.js';

const configLengths: Readonly<Partial<Record<number, number>>> = {
  [VIRTIO_ID_NET]: netConfigLength,
  [VIRTIO_ID_BLOCK]: blockConfigLength,
};

/** Whether an instance's vDPA device is on the bus. */
export function isAttached(state: SimState, name: string): boolean {
  return state.devices.some((device) => device.name === busName(name) && device.mgmtdev === 'vduse');
}

/**
 * An instance in the state; its configuration space is padded with zeros to the length for its type.
 * @param minor the number of its node
 */
export function toInstance(
  name: string,
  identity: DeviceIdentity,
  minor: number,
  served?: ServerEntry,
): VduseInstanceState {
  const { deviceId, vendorId, features, queueCount, queueSize } = identity;
  const config = new Uint8Array(Math.max(configLengths[deviceId] ?? 0, identity.config.length));
  config.set(identity.config);
  return {
    name,
    minor,
    device_id: deviceId,
    vendor_id: vendorId,
    features: hex64(features),
    vq_sizes: Array.from({ length: queueCount }, () => queueSize),
    config: Buffer.from(config).toString('hex'),
    ...(served && { served }),
  };
}

/** The first minor number of an instance: 0 is /dev/vduse/control. drivers/vdpa/vdpa_user/vduse_dev.c */
export const FIRST_MINOR = 1;
