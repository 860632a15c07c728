import type { BindOptions } from '../sysfs/binding.js';
import type { VdpaBus } from '../sysfs/bus.js';
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

/** How drivers are changed for a command: by force where it says so, and then the user is told from whom. */
export async function bindOptions(session: Session, force: boolean): Promise<BindOptions> {
  const { describeUser } = await import('../sysfs/users.js');
  return {
    force,
    onForced: (users) => {
      for (const user of users) {
        const waits = user.kind === 'process' && user.node.includes('vhost-vdpa');
        session.io.stderr(`Warning: ${describeUser(user)}${waits ? '; the kernel waits until it is closed' : ''}.\n`);
      }
    },
  };
}
