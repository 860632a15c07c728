/** The devices on the vdpa bus, as the vdpa core of drivers/vdpa/vdpa.c has them. */
import type { DeviceState, SimState } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import { managementOf } from './management-devices.js';
import type { VdpaDevice } from './management/driver.js';
import { bindDriver } from './management/index.js';

/** Searches from the end: a new device is often bound next. */
export function findDevice(state: SimState, name: string): DeviceState | undefined {
  return state.devices.findLast((device) => device.name === name);
}

export function openDevice(state: SimState, device: DeviceState): VdpaDevice {
  return bindDriver(managementOf(state, device)).open(state, device);
}

/** Puts a changed device in the place of a device. The list of a draft is its own. */
export function replaceDevice(draft: MachineDraft, device: DeviceState, changed: DeviceState): void {
  const index = draft.devices.lastIndexOf(device);
  if (index >= 0) draft.devices[index] = changed;
}
