import { DEFAULT_QUEUE_SIZE } from '../vduse/device-options.js';
import { InstanceExistsError } from '../vduse/error.js';
import { checkServedDevice, factsOf, toServerWords } from '../vduse/service/device-facts.js';
import type { ServedDevice } from '../vduse/service/served-device.js';
import { identityOfBlock, identityOfNet } from './served-identity.js';
import { Simulation } from './simulation.js';
import { createInstance, destroyInstance, isAttached } from './vduse-instance.js';

/**
 * Makes a VDUSE instance on a simulated machine, as if a server of the tool's own had been started, and attaches it; it is
 * destroyed where attaching it fails. Nothing of this machine is touched: no file is opened, no interface made.
 * @param environment names the machine
 * @param attach sends the request to the kernel
 * @throws DeviceNameError, DeviceOptionError; InstanceExistsError where there is one of the name; SystemError where it cannot
 *   be made; SimulationError; whatever `attach` throws
 */
export async function addSimulatedServer(
  environment: Readonly<Record<string, string | undefined>>,
  device: ServedDevice,
  attach: () => Promise<void>,
): Promise<void> {
  const simulation = new Simulation(environment);
  const { store } = simulation;
  const { name, queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  // Only root may make instances; others are told so by the kernel.
  if (!simulation.isRoot) return attach();
  checkServedDevice(device);
  const identity = device.type === 'block' ? identityOfBlock(device) : identityOfNet(device);
  await store.prepare();
  store.update((state) => {
    if (state.vduse.some((instance) => instance.name === name)) {
      throw new InstanceExistsError([`vdpa: ${name} has a server already`]);
    }
    createInstance(state, name, identity, toServerWords(factsOf(device), queues, queueSize));
  });
  try {
    await attach();
  } catch (error) {
    store.update((state) => {
      // The kernel may have answered too late, and yet have attached it.
      if (!isAttached(state, name)) destroyInstance(state, name);
    });
    throw error;
  } finally {
    store.close();
  }
}
