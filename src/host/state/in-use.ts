/** Checks a plan for devices in use. */
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import { refuseUsed } from '../../sysfs/removal.js';
import { machineServers } from '../../vduse/daemon/machine-servers.js';
import type { VduseServers } from '../../vduse/daemon/servers.js';
import type { Change } from './change.js';
import type { Plan, Refusal } from './plan.js';
import { VDUSE } from './servers.js';

/**
 * Removes from a plan the changes that would affect devices in use, or make the kernel wait.
 *
 * Command line: Part of `vdpa apply FILE`.
 * @param signal ends the wait for a server that is being replaced
 * @param servers those of the machine; by default of this one
 * @throws SystemError if the machine's files cannot be read; the reason of the signal
 */
export async function refuseInUse(
  bus: VdpaBus,
  { changes, refusals }: Plan,
  signal?: AbortSignal,
  servers: VduseServers = machineServers,
): Promise<Plan> {
  const free: Change[] = [];
  const used: Refusal[] = [];
  for (const change of changes) {
    const reason = await userOf(bus, servers, change, signal);
    if (reason) used.push({ name: change.name, reason, isTransient: false });
    else free.push(change);
  }
  return { changes: free, refusals: [...refusals, ...used] };
}

/** Why a device cannot be removed. */
async function userOf(
  bus: VdpaBus,
  servers: VduseServers,
  change: Change,
  signal?: AbortSignal,
): Promise<SystemError | undefined> {
  if (change.action !== 'replace' && change.action !== 'delete' && change.action !== 'bind') return undefined;
  const { onBus } = change.actual;
  if (!onBus) return undefined;
  // A process that has the node open keeps it.
  if (change.action === 'bind' && change.driver === onBus.driver) return undefined;
  try {
    if (change.actual.device.managementDevice === VDUSE) await servers.awaitReplacement(change.name, signal);
    await refuseUsed(bus, onBus, operationOf(change));
    return undefined;
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EBUSY) return error;
    throw error;
  }
}

function operationOf(change: Extract<Change, { readonly action: 'replace' | 'delete' | 'bind' }>): string {
  const { name } = change;
  if (change.action !== 'bind') return `delete ${name}`;
  return change.driver === null ? `unbind ${name}` : `bind ${name} to ${change.driver}`;
}
