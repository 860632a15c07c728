/** Adds devices to the vdpa bus and removes them, as drivers/vdpa/vdpa.c and the driver core below it. */
import { Errno } from '../../sys/errno.js';
import { Refusal } from '../netlink/refusal.js';
import { busName } from '../state/model.js';
import type { DeviceState, ManagementDeviceState } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import { findDevice } from './devices.js';
import { detach, offerDevice } from './driver-core.js';
import { managementOf } from './management-devices.js';
import type { AddConfig } from './management/add-config.js';
import { bindDriver } from './management/index.js';
import { devicePath } from './places.js';
import { broadcast } from './uevents.js';

/** Creates a device, adds it to the bus and offers it to the drivers. @throws Refusal */
export function plugDevice(
  draft: MachineDraft,
  management: ManagementDeviceState,
  name: string,
  config: AddConfig,
): void {
  const driver = bindDriver(management);
  const device = { ...driver.add(draft, name, config), name: busName(name) };
  if (findDevice(draft, device.name) !== undefined) throw new Refusal(Errno.EEXIST);
  if (device.name === '') throw new Refusal(Errno.EINVAL);
  if (driver.takenNames(draft, device.name).includes(device.name)) throw new Refusal(Errno.EEXIST);
  draft.devices.push(device);
  broadcast(draft, { action: 'add', devpath: devicePath(draft, device), subsystem: 'vdpa' });
  offerDevice(draft, device);
}

/** Removes a device from its driver and from the bus. @throws NodeHeldError while a process has its node open */
export function unplugDevice(draft: MachineDraft, device: DeviceState): void {
  const unbound = detach(draft, device);
  const devpath = devicePath(draft, unbound);
  draft.devices = draft.devices.filter((candidate) => candidate !== unbound);
  broadcast(draft, { action: 'remove', devpath, subsystem: 'vdpa' });
  bindDriver(managementOf(draft, unbound)).removed(draft, unbound);
}
