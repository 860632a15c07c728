import type { DeviceState, ManagementDeviceState, SimState } from '../../state/model.js';
import type { MachineDraft } from '../../state/store.js';
import type { AddConfig } from './add-config.js';
import type { ManagementDriver, VdpaDevice } from './driver.js';
import { hardware } from './hardware.js';
import { ifcvf } from './ifcvf.js';
import { mlx5 } from './mlx5.js';
import { octep } from './octep.js';
import { pds } from './pds.js';
import { vdpasimBlk } from './vdpasim-blk.js';
import { vdpasimNet } from './vdpasim-net.js';
import { vduse } from './vduse.js';
import { vpVdpa } from './vp-vdpa.js';

/** A management device with its driver: the functions of {@link ManagementDriver} for that one device. */
export interface BoundManagementDevice {
  readonly configAttributes: bigint;
  add(state: SimState, name: string, config: AddConfig): DeviceState;
  readonly setMac: ((state: SimState, device: DeviceState, mac: Uint8Array) => DeviceState) | undefined;
  removed(draft: MachineDraft, device: DeviceState): void;
  open(state: SimState, device: DeviceState): VdpaDevice;
  takenNames(state: SimState, name: string): readonly string[];
}

/** Cached, because a list of devices uses the same ones repeatedly. */
const bound = new WeakMap<ManagementDeviceState, BoundManagementDevice>();

export function bindDriver(management: ManagementDeviceState): BoundManagementDevice {
  let device = bound.get(management);
  if (device === undefined) bound.set(management, (device = bindNew(management)));
  return device;
}

function bindNew(management: ManagementDeviceState): BoundManagementDevice {
  switch (management.driver) {
    case 'vdpasim_net':
      return bind(vdpasimNet, management);
    case 'vdpasim_blk':
      return bind(vdpasimBlk, management);
    case 'vduse':
      return bind(vduse, management);
    case 'hardware':
      return bind(hardware, management);
    case 'mlx5_vdpa':
      return bind(mlx5, { ...management, driver: management.driver });
    case 'pds_vdpa':
      return bind(pds, { ...management, driver: management.driver });
    case 'octep_vdpa':
      return bind(octep, { ...management, driver: management.driver });
    case 'ifcvf':
      return bind(ifcvf, { ...management, driver: management.driver });
    case 'vp_vdpa':
      return bind(vpVdpa, { ...management, driver: management.driver });
  }
}

function bind<M extends ManagementDeviceState>(driver: ManagementDriver<M>, management: M): BoundManagementDevice {
  return {
    configAttributes: driver.configAttributes(management),
    add: (state, name, config) => driver.add(state, management, name, config),
    setMac: driver.setMac?.bind(driver),
    removed: (draft, device) => driver.removed?.(draft, device),
    open: (state, device) => driver.open(state, management, device),
    takenNames: (state, name) => driver.takenNames(state, management, name),
  };
}
