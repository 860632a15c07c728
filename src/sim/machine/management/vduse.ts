/** The management device of VDUSE, devices served from user space: drivers/vdpa/vdpa_user/vduse_dev.c */
import { Errno } from '../../../sys/errno.js';
import { Refusal } from '../../netlink/refusal.js';
import { busName } from '../../state/model.js';
import type { SimState, SoftwareManagementDevice, VduseInstanceState } from '../../state/model.js';
import { withdrawInstance } from '../vduse-instances.js';
import type { ManagementDriver } from './driver.js';
import { formatHandle } from '../../../vdpa/model.js';

/** The entries of an instance in sysfs, except its virtqueues; its vDPA device is among them. */
const instanceAttributes = ['bounce_size', 'dev', 'msg_timeout', 'subsystem', 'uevent'];

export const vduse: ManagementDriver<SoftwareManagementDevice> = {
  configAttributes: () => 0n,

  add: (state, management, name) => {
    const instance = state.vduse.find((candidate) => candidate.name === name);
    if (instance === undefined || instance.vq_sizes.includes(0)) throw new Refusal(Errno.EINVAL);
    return { name, mgmtdev: formatHandle(management) };
  },

  removed: (draft, device) => {
    const instance = findInstance(draft, device.name);
    // A server of vdpa has nothing left to do.
    if (instance?.served !== undefined) withdrawInstance(draft, instance);
  },

  open: (state, _management, device) => {
    const instance = findInstance(state, device.name);
    if (instance === undefined) throw new Error(`the simulated device ${device.name} lost its VDUSE instance`);
    return {
      deviceId: instance.device_id,
      vendorId: instance.vendor_id,
      virtqueues: instance.vq_sizes.length,
      maxVirtqueueSize: Math.max(0, ...instance.vq_sizes),
      minVirtqueueSize: 1,
      features: BigInt(instance.features),
      config: Buffer.from(instance.config, 'hex'),
    };
  },

  takenNames: (state, _management, name) => {
    const queues = findInstance(state, name)?.vq_sizes.map((_size, index) => `vq${index}`) ?? [];
    return [...instanceAttributes, ...queues];
  },
};

/** The instance of the device of this name on the bus. */
function findInstance(state: SimState, deviceName: string): VduseInstanceState | undefined {
  return state.vduse.find((instance) => busName(instance.name) === deviceName);
}
