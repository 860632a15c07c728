/** The machine's devices as in the vdpa core of drivers/vdpa/vdpa.c and the driver core below it. */
import { Errno } from '../../sys/errno.js';
import type { AddConfig } from './management/add-config.js';
import type { VdpaDevice } from './management/driver.js';
import { bindDriver } from './management/index.js';
import { Refusal } from '../netlink/refusal.js';
import { busName } from '../state/model.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../state/model.js';
import { formatHandle } from '../../vdpa/model.js';

export function findManagementDevice(
  state: SimState,
  bus: string | undefined,
  name: string,
): ManagementDeviceState | undefined {
  return state.machine.mgmtdev.find((device) => device.bus === bus && device.name === name);
}

export function findDevice(state: SimState, name: string): DeviceState | undefined {
  return state.devices.find((device) => device.name === name);
}

/** The management device of a device. */
export function managementOf(state: SimState, device: DeviceState): ManagementDeviceState {
  const management = state.machine.mgmtdev.find((candidate) => device.mgmtdev === formatHandle(candidate));
  if (management === undefined) {
    throw new Error(`the simulated device ${device.name} lost its management device ${device.mgmtdev}`);
  }
  return management;
}

export function openDevice(state: SimState, device: DeviceState): VdpaDevice {
  return bindDriver(managementOf(state, device)).open(state, device);
}

/** Creates a device and adds it to the bus. @throws Refusal */
export function plugDevice(state: SimState, management: ManagementDeviceState, name: string, config: AddConfig): void {
  const driver = bindDriver(management);
  const device = { ...driver.add(state, name, config), name: busName(name) };
  if (findDevice(state, device.name) !== undefined) throw new Refusal(Errno.EEXIST);
  if (device.name === '') throw new Refusal(Errno.EINVAL);
  if (driver.takenNames(state, device.name).includes(device.name)) throw new Refusal(Errno.EEXIST);
  state.devices.push(device);
}

/** Removes a device from the bus. */
export function unplugDevice(state: SimState, device: DeviceState): void {
  state.devices = state.devices.filter((candidate) => candidate !== device);
  bindDriver(managementOf(state, device)).removed(state, device);
}

export function replaceDevice(state: SimState, device: DeviceState, changed: DeviceState): void {
  state.devices = state.devices.map((candidate) => (candidate === device ? changed : candidate));
}
