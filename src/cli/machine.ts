import type { VdpaBus } from '../sysfs/bus.js';
import type { RemovalOptions } from '../sysfs/removal.js';
import type { VduseServers } from '../vduse/service/servers.js';
import { UsageError } from './error.js';
import type { Session } from './session.js';

/**
 * The vdpa bus of this machine, as its file systems show it.
 * @throws UsageError on the simulation, which has none
 */
export async function machineBus(session: Session): Promise<VdpaBus> {
  if (session.options.sim) {
    throw new UsageError(
      'The simulated machine has no sysfs: drivers, device nodes and interfaces are of real machines',
    );
  }
  const { VdpaBus } = await import('../sysfs/bus.js');
  return new VdpaBus();
}

/** The servers of the VDUSE devices of this machine, or of the simulated one. */
export async function vduseServers(session: Session): Promise<VduseServers> {
  if (session.options.sim) {
    const { SimulatedServers } = await import('../sim/vduse-servers.js');
    return new SimulatedServers(session.io.env);
  }
  return (await import('../vduse/service/machine-servers.js')).machineServers;
}

/** How devices are taken away for a command: by force where it says so, and then the user is told from whom. */
export async function removalOptions(session: Session, force: boolean): Promise<RemovalOptions> {
  const { describeForced } = await import('../sysfs/removal.js');
  return {
    force,
    onForced: (inTheWay) => {
      for (const one of inTheWay) session.io.stderr(`Warning: ${describeForced(one)}.\n`);
    },
  };
}
