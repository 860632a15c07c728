/** VDUSE instances: servers create them with VDUSE_CREATE_DEV and VDUSE_VQ_SETUP. drivers/vdpa/vdpa_user/vduse_dev.c */
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { featureMask } from '../../virtio/feature-mask.js';
import type { DeviceIdentity } from '../../vduse/kernel/control.js';
import { checkDeviceName } from '../../vduse/kernel/name.js';
import type { ServerEntry } from '../../vduse/spec/arguments.js';
import { busName, lowestFree } from '../state/model.js';
import type { VduseInstanceState } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import { FIRST_MINOR, isAttached, toInstance } from '../state/vduse-instance.js';
import { VDUSE_MAJOR, instancePath } from './places.js';
import { broadcast, type NewUevent } from './uevents.js';

const accessPlatform = featureMask(undefined, ['ACCESS_PLATFORM']);

/**
 * Creates an instance like VDUSE_CREATE_DEV and VDUSE_VQ_SETUP.
 * @param served the options of its server of vdpa, which ends and destroys it when its vDPA device is deleted
 * @throws DeviceNameError; SystemError EEXIST if the name is in use, EINVAL if the kernel would reject it
 */
export function createInstance(draft: MachineDraft, name: string, identity: DeviceIdentity, served: ServerEntry): void {
  checkDeviceName(name);
  const operation = `create the VDUSE instance ${name}`;
  if ((identity.features & accessPlatform) === 0n) throw new SystemError({ operation, errno: Errno.EINVAL });
  if (draft.vduse.some((instance) => busName(instance.name) === name)) {
    throw new SystemError({ operation, errno: Errno.EEXIST });
  }
  const minor = lowestFree(
    draft.vduse.map((instance) => instance.minor),
    FIRST_MINOR,
  );
  const instance = toInstance(name, identity, minor, served);
  draft.vduse.push(instance);
  broadcast(draft, { action: 'add', ...ueventOf(instance) });
}

/**
 * Destroys an instance like VDUSE_DESTROY_DEV.
 * @throws SystemError EINVAL if there is none of the name, EBUSY while its vDPA device exists
 */
export function destroyInstance(draft: MachineDraft, name: string): void {
  const operation = `destroy the VDUSE instance ${name}`;
  const instance = draft.vduse.find((candidate) => candidate.name === name);
  if (instance === undefined) throw new SystemError({ operation, errno: Errno.EINVAL });
  if (isAttached(draft, name)) throw new SystemError({ operation, errno: Errno.EBUSY });
  withdrawInstance(draft, instance);
}

/** Takes an instance away, with its node. */
export function withdrawInstance(draft: MachineDraft, instance: VduseInstanceState): void {
  draft.vduse = draft.vduse.filter((candidate) => candidate !== instance);
  broadcast(draft, { action: 'remove', ...ueventOf(instance) });
}

function ueventOf({ name, minor }: VduseInstanceState): Omit<NewUevent, 'action'> {
  const variables = { MAJOR: VDUSE_MAJOR, MINOR: minor, DEVNAME: `vduse/${busName(name)}` };
  return { devpath: instancePath(name), subsystem: 'vduse', variables };
}
