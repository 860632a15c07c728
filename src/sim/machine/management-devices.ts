import { formatHandle } from '../../vdpa/model.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../state/model.js';

export function findManagementDevice(
  state: SimState,
  bus: string | undefined,
  name: string,
): ManagementDeviceState | undefined {
  return state.machine.mgmtdev.find((device) => device.bus === bus && device.name === name);
}

/** The management device of a device. */
export function managementOf(state: SimState, device: DeviceState): ManagementDeviceState {
  const management = state.machine.mgmtdev.find((candidate) => device.mgmtdev === formatHandle(candidate));
  if (management === undefined) {
    throw new Error(`the simulated device ${device.name} lost its management device ${device.mgmtdev}`);
  }
  return management;
}
