/** The machine's devices as the vdpa core of drivers/vdpa/vdpa.c and the driver core behind it keep them. */
import { Errno } from '../sys/errno.js';
import type { AddConfig } from './management/add-config.js';
import type { VdpaDevice } from './management/driver.js';
import { bindDriver } from './management/drivers.js';
import { Refusal } from './refusal.js';
import { busName } from './state.js';
import type { DeviceState, ManagementDeviceState, SimState } from './state.js';
import { formatHandle } from '../vdpa/model.js';

/** Where a machine's state is kept. */
export interface MachineStore {
  /** The state as it is now. Not to be changed. */
  read(): SimState;
  /** Changes the state, all or nothing: where `change` throws, nothing is kept. Nobody else changes it meanwhile. */
  update<Result>(change: (state: SimState) => Result): Result;
  /** To be called, and waited for, before {@link update}. */
  prepare?(): void | Promise<void>;
  /** Gives back what is held. */
  close?(): void;
}

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

/** Makes a device and puts it on the bus. @throws Refusal */
export function plugDevice(state: SimState, management: ManagementDeviceState, name: string, config: AddConfig): void {
  const driver = bindDriver(management);
  const device = { ...driver.add(state, name, config), name: busName(name) };
  if (findDevice(state, device.name) !== undefined) throw new Refusal(Errno.EEXIST);
  if (device.name === '') throw new Refusal(Errno.EINVAL);
  if (driver.takenNames(state, device.name).includes(device.name)) throw new Refusal(Errno.EEXIST);
  state.devices.push(device);
}

/** Takes a device off the bus. */
export function unplugDevice(state: SimState, device: DeviceState): void {
  state.devices = state.devices.filter((candidate) => candidate !== device);
  bindDriver(managementOf(state, device)).removed(state, device);
}

export function replaceDevice(state: SimState, device: DeviceState, changed: DeviceState): void {
  state.devices = state.devices.map((candidate) => (candidate === device ? changed : candidate));
}

/** A machine that lives in this process only. */
export class MemoryStore implements MachineStore {
  #state: SimState;

  constructor(state: SimState) {
    this.#state = state;
  }

  read(): SimState {
    return this.#state;
  }

  update<Result>(change: (state: SimState) => Result): Result {
    const changed = copyState(this.#state);
    const result = change(changed);
    this.#state = changed;
    return result;
  }
}

/** A state that can be changed without changing the first: its devices and instances are never changed in place. */
export function copyState(state: SimState): SimState {
  return {
    ...state,
    devices: [...state.devices],
    vduse: [...state.vduse],
    files: [...state.files],
    fault_hits: [...state.fault_hits],
  };
}
