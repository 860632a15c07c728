/** VDUSE instances of a simulated machine: servers create them with VDUSE_CREATE_DEV and VDUSE_VQ_SETUP. */
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { blockConfigLength, netConfigLength } from '../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import type { DeviceIdentity } from '../../vduse/kernel/control.js';
import { checkDeviceName } from '../../vduse/kernel/name.js';
import { featureMask } from '../../virtio/feature-mask.js';
import { busName, hex64 } from './model.js';
import type { SimState, VduseInstanceState } from './model.js';
import type { ServerEntry } from '../../vduse/spec/arguments.js';

const accessPlatform = featureMask(undefined, ['ACCESS_PLATFORM']);
const configLengths: Readonly<Partial<Record<number, number>>> = {
  [VIRTIO_ID_NET]: netConfigLength,
  [VIRTIO_ID_BLOCK]: blockConfigLength,
};

/**
 * Creates an instance like VDUSE_CREATE_DEV and VDUSE_VQ_SETUP.
 * @param served the options of its server of vdpa, which ends and destroys it when its vDPA device is deleted
 * @throws DeviceNameError; SystemError EEXIST if the name is in use, EINVAL if the kernel would reject it
 */
export function createInstance(state: SimState, name: string, identity: DeviceIdentity, served: ServerEntry): void {
  checkDeviceName(name);
  const operation = `create the VDUSE instance ${name}`;
  if ((identity.features & accessPlatform) === 0n) throw new SystemError({ operation, errno: Errno.EINVAL });
  if (state.vduse.some((instance) => busName(instance.name) === name)) {
    throw new SystemError({ operation, errno: Errno.EEXIST });
  }
  state.vduse.push(toInstance(name, identity, served));
}

/**
 * Destroys an instance like VDUSE_DESTROY_DEV.
 * @throws SystemError EINVAL if there is none of the name, EBUSY while its vDPA device exists
 */
export function destroyInstance(state: SimState, name: string): void {
  const operation = `destroy the VDUSE instance ${name}`;
  if (!state.vduse.some((instance) => instance.name === name)) {
    throw new SystemError({ operation, errno: Errno.EINVAL });
  }
  if (isAttached(state, name)) throw new SystemError({ operation, errno: Errno.EBUSY });
  state.vduse = state.vduse.filter((instance) => instance.name !== name);
}

/** Whether an instance's vDPA device is on the bus. */
export function isAttached(state: SimState, name: string): boolean {
  return state.devices.some((device) => device.name === busName(name) && device.mgmtdev === 'vduse');
}

/** An instance in the state; its configuration space is padded with zeros to the length for its type. */
export function toInstance(name: string, identity: DeviceIdentity, served?: ServerEntry): VduseInstanceState {
  const { deviceId, vendorId, features, queueCount, queueSize } = identity;
  const config = new Uint8Array(Math.max(configLengths[deviceId] ?? 0, identity.config.length));
  config.set(identity.config);
  return {
    name,
    device_id: deviceId,
    vendor_id: vendorId,
    features: hex64(features),
    vq_sizes: Array.from({ length: queueCount }, () => queueSize),
    config: Buffer.from(config).toString('hex'),
    ...(served && { served }),
  };
}
