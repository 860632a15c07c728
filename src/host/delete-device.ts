/** Deleting a device without making all of vdpa wait for it. */
import type { VdpaBus } from '../sysfs/bus.js';
import { refuseBlocked, type RemovalOptions } from '../sysfs/removal.js';
import type { VdpaClient } from '../vdpa/client.js';

/**
 * Deletes a device, unless the kernel would wait: until a process closes the device's vhost-vdpa node, or for the answer of
 * a VDUSE server that is gone or stopped. It waits uninterruptibly, and so does every later request to vdpa.
 * @param bus undefined on the simulation
 * @throws SystemError EBUSY, with who holds it or what is to be done; NetlinkError where the kernel refuses
 */
export async function deleteDevice(
  client: Pick<VdpaClient, 'deleteDevice'>,
  bus: VdpaBus | undefined,
  name: string,
  options: RemovalOptions = {},
): Promise<void> {
  if (bus) refuseBlocked(bus, name, `delete ${name}`, options);
  await client.deleteDevice(name);
}
