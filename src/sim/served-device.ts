import type { BlockServed, NetServed, ServedDevice } from '../vduse/service/served-device.js';
import { blockIdentity, blockLimits } from '../vduse/block-identity.js';
import type { DeviceIdentity } from '../vduse/control.js';
import { macFor, netIdentity } from '../vduse/net-identity.js';
import { checkQueueSize } from '../vduse/negotiation.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_QUEUE_SIZE, DEFAULT_SIZE } from '../vduse/device-options.js';
import { netBackendOf } from '../vduse/service/backend-choice.js';
import { checkServedDevice, factsOf, toServerWords } from '../vduse/service/device-facts.js';
import { Simulation } from './simulation.js';
import { createInstance, destroyInstance, isAttached } from './vduse-instance.js';

/**
 * Attaches a VDUSE device to a simulated machine as `dev add` does on a real one: where there is no instance of its name,
 * as if a server of the tool's own had been started, one is made first, and destroyed where attaching it fails. Nothing of
 * this machine is touched: no file is opened, no interface made.
 * @param environment names the machine
 * @param attach sends the request to the kernel; is told whether an instance was made for it
 * @throws DeviceNameError, DeviceOptionError; SystemError where the instance cannot be made; SimulationError; whatever
 *   `attach` throws
 */
export async function attachSimulatedServer(
  environment: Readonly<Record<string, string | undefined>>,
  device: ServedDevice,
  attach: (isNew: boolean) => Promise<void>,
): Promise<void> {
  const simulation = new Simulation(environment);
  const { store } = simulation;
  const { name, queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  // Only root may make instances; others are told so by the kernel.
  if (!simulation.isRoot || store.read().vduse.some((instance) => instance.name === name)) {
    await attach(false);
    return;
  }
  checkServedDevice(device);
  const identity = device.type === 'block' ? identityOfBlock(device) : identityOfNet(device);
  await store.prepare();
  store.update((state) => {
    createInstance(state, name, identity, toServerWords(factsOf(device), queues, queueSize));
  });
  try {
    await attach(true);
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

/** What a driver sees of a block device that is served. */
export function identityOfBlock(device: BlockServed): DeviceIdentity {
  const {
    size = DEFAULT_SIZE,
    readonly = false,
    blockSize = DEFAULT_BLOCK_SIZE,
    queues = 1,
    queueSize = DEFAULT_QUEUE_SIZE,
    serial = '',
  } = device;
  checkQueueSize(queueSize);
  return blockIdentity({ limits: blockLimits({ size, readonly }, serial), blockSize, queues, queueSize });
}

/** What a driver sees of a network device that is served. */
export function identityOfNet(device: NetServed): DeviceIdentity {
  const { name, mac = macFor(name), mtu, queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  checkQueueSize(queueSize);
  const offloads = netBackendOf(device).type === 'tap';
  return netIdentity({ mac, mtu, pairs: queues, queueSize, offloads });
}
