/** The devices on the vdpa bus, as the vdpa core of drivers/vdpa/vdpa.c has them. */
import type { DeviceState, SimState } from '../state/model.js';
import { managementOf } from './management-devices.js';
import type { VdpaDevice } from './management/driver.js';
import { bindDriver } from './management/index.js';

export function findDevice(state: SimState, name: string): DeviceState | undefined {
  return state.devices.find((device) => device.name === name);
}

export function openDevice(state: SimState, device: DeviceState): VdpaDevice {
  return bindDriver(managementOf(state, device)).open(state, device);
}

export function replaceDevice(state: SimState, device: DeviceState, changed: DeviceState): void {
  state.devices = state.devices.map((candidate) => (candidate === device ? changed : candidate));
}
