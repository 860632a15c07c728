import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { InstanceExistsError } from '../../vduse/error.js';
import { serverPart, toEntry } from '../../vduse/spec/arguments.js';
import { checkDeviceSpec, resolveSpec } from '../../vduse/spec/resolve.js';
import type { BlockDeviceSpec, ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import type { StartServerOptions } from '../../vduse/daemon/servers.js';
import { identityOfBlock, identityOfNet } from '../state/identity.js';
import type { Simulation } from '../simulation.js';
import type { FileState, SimState } from '../state/model.js';
import { createInstance, destroyInstance } from '../machine/vduse-instances.js';
import { isAttached } from '../state/vduse-instance.js';

/**
 * Creates a VDUSE instance on a simulated machine, as if a server of vdpa had been started, and attaches it; if that
 * fails, it is destroyed. The real machine is not touched: no file is opened and no interface created.
 * @param attach sends the request to the kernel
 * @throws DeviceNameError, DeviceOptionError; InstanceExistsError if the name is in use; SystemError if it cannot be
 *   created; SimulationError; whatever `attach` throws
 */
export async function addSimulatedServer(
  simulation: Simulation,
  device: ServedDeviceSpec,
  attach: () => Promise<void>,
  { makeFile = false }: StartServerOptions = {},
): Promise<void> {
  const { store } = simulation;
  const { name } = device;
  // Only root may create instances; others get the error of the kernel.
  if (simulation.uid !== 0) return attach();
  checkDeviceSpec(device);
  await store.prepare();
  const madeFile = store.update((state) => {
    if (state.vduse.some((instance) => instance.name === name)) {
      throw new InstanceExistsError([`vdpa: ${name} already has a server`]);
    }
    const file = device.type === 'block' ? findFile(state, device, makeFile) : undefined;
    const identity = device.type === 'block' ? identityOfBlock({ ...file, ...device }) : identityOfNet(device);
    createInstance(state, name, identity, serverPart(toEntry(resolveSpec(device))));
    if (file === undefined || state.files.includes(file)) return undefined;
    state.files.push(file);
    return file.path;
  });
  try {
    await attach();
  } catch (error) {
    store.update((state) => {
      // The kernel may have attached it although its answer was too late.
      if (isAttached(state, name)) return;
      destroyInstance(state, name);
      state.files = state.files.filter(({ path }) => path !== madeFile);
    });
    throw error;
  } finally {
    store.close();
  }
}

/**
 * The file of a block device, created if allowed. Undefined for a device without a file.
 * @throws SystemError ENOENT if the machine has no such file
 */
function findFile({ files }: SimState, { path, size }: BlockDeviceSpec, makeFile: boolean): FileState | undefined {
  if (path === undefined) return undefined;
  const file = files.find((known) => known.path === path);
  if (file !== undefined) return file;
  if (makeFile && size !== undefined) return { path, size };
  throw new SystemError({ operation: `open ${path}`, errno: Errno.ENOENT });
}
