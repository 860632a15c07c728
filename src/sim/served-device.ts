import { VIRTIO_ID_NET } from '../virtio/ids.js';
import { Simulation } from './simulation.js';
import { blockOffer, netOffer } from './vduse-instance.js';

/**
 * Attaches a VDUSE device to a simulated machine as `dev add` does on a real one: with a server of the tool's own behind
 * it, unless there is one already.
 * @param environment names the machine
 * @param deviceId virtio device id; a block device where not given
 * @param attach sends the request to the kernel
 * @throws SystemError where the instance cannot be made; SimulationError; whatever `attach` throws
 */
export async function attachSimulatedServer(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  deviceId: number | undefined,
  attach: () => Promise<void>,
): Promise<void> {
  const offer = deviceId === VIRTIO_ID_NET ? netOffer(name, {}, true) : blockOffer(name, {}, true);
  await new Simulation(environment).attachServed(offer, attach);
}
