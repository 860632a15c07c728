/** Deletes a device without blocking all of vdpa. */
import type { WaitOptions } from '../sys/wait.js';
import type { VdpaBus } from '../sysfs/bus.js';
import { refuseBlocked, type RemovalOptions } from '../sysfs/removal.js';
import type { VdpaClient } from '../vdpa/client.js';

/**
 * Deletes a device, unless the kernel would wait: until a process closes the device's vhost-vdpa node, or for a VDUSE
 * server that has ended or is stopped. The kernel waits uninterruptibly, and so does every later vdpa request. `vdpa
 * dev del NAME`
 * @param bus without it, nothing is checked
 * @param options the time limit is for the answer of the kernel, by default that of the client
 * @throws SystemError EBUSY, with who uses the device or what to do; NetlinkError if the kernel rejects the request
 */
export async function deleteDevice(
  client: Pick<VdpaClient, 'deleteDevice'>,
  bus: VdpaBus | undefined,
  name: string,
  options: RemovalOptions & WaitOptions = {},
): Promise<void> {
  const { signal, timeoutMs } = options;
  signal?.throwIfAborted();
  if (bus) refuseBlocked(bus, name, `delete ${name}`, options);
  await client.deleteDevice(name, { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) });
}
