import { formatHandle } from '../vdpa/model.js';
import type { ControlNodes } from '../host/report.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import type { CapacityOf } from '../host/state/conflicts.js';
import type { VdpaBus } from '../sysfs/bus.js';
import type { RemovalOptions } from '../sysfs/removal.js';
import type { VduseServers } from '../vduse/daemon/servers.js';
import type { Session } from './session.js';

/** The vdpa bus of this machine, or of the simulated one. @throws SimulationError */
export async function machineBus(session: Session): Promise<VdpaBus> {
  const { VdpaBus } = await import('../sysfs/bus.js');
  if (!session.options.sim) return new VdpaBus();
  const simulation = await session.simulation();
  const { SimulatedFiles } = await import('../sim/machine/files/simulated-files.js');
  const { busInfo } = await import('../sim/machine/files/bus-info.js');
  await simulation.store.prepare();
  return new VdpaBus(new SimulatedFiles(simulation.store, simulation.uid), (netdev) =>
    busInfo(simulation.store.read(), netdev),
  );
}

/** The events of the simulated machine; undefined for those of this one. @throws SimulationError */
export async function machineEvents(session: Session): Promise<NetlinkTransport | undefined> {
  if (!session.options.sim) return undefined;
  const { SimulatedUevents } = await import('../sim/uevents.js');
  return new SimulatedUevents((await session.simulation()).store);
}

/** The control nodes of the simulated machine; undefined for those of this one. */
export async function controlNodes(session: Session): Promise<ControlNodes | undefined> {
  if (!session.options.sim) return undefined;
  const { simulatedControls } = await import('../sim/machine/files/control-nodes.js');
  return simulatedControls((await session.simulation()).uid);
}

/** The servers of the VDUSE devices of this machine, or of the simulated one. */
export async function vduseServers(session: Session): Promise<VduseServers> {
  if (session.options.sim) {
    const { SimulatedServers } = await import('../sim/vduse/servers.js');
    return new SimulatedServers(await session.simulation());
  }
  return (await import('../vduse/daemon/machine-servers.js')).machineServers;
}

/** The maximum number of devices of the management devices of this machine, or of the simulated one. */
export async function managementCapacity(session: Session): Promise<CapacityOf> {
  if (session.options.sim) {
    const [simulation, { isCardDriver }] = await Promise.all([session.simulation(), import('../sim/state/card.js')]);
    const { mgmtdev } = simulation.store.read().machine;
    return (handle) => {
      const management = mgmtdev.find((candidate) => formatHandle(candidate) === handle);
      if (management === undefined) return undefined;
      // Drivers that accept more devices break the first one.
      if (isCardDriver(management.driver)) return 1;
      return management.driver === 'hardware' ? management.max_devices : undefined;
    };
  }
  const { files } = await machineBus(session);
  const { capacityOf } = await import('../host/state/capacity.js');
  return (handle) => capacityOf(files, handle);
}

/** The lock file of `vdpa apply` and `vdpa restore`; undefined if there is no place for it. */
async function stateLockPath(session: Session): Promise<string | undefined> {
  if (session.options.sim) {
    const { statePath } = await import('../sim/simulation.js');
    return `${statePath(session.io.env)}.apply`;
  }
  const { runtimeBase } = await import('../vduse/daemon/runtime-path.js');
  const base = runtimeBase();
  return base === undefined || base === '' ? undefined : `${base}/vdpa/apply.lock`;
}

/**
 * Runs a task while no other process applies or restores a state.
 * @param signal ends the wait for another process
 * @throws SystemError if another process does so for too long; the reason of the signal; whatever the task throws
 */
export async function withStateLock<Result>(
  session: Session,
  task: () => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const path = await stateLockPath(session);
  if (path === undefined) return task();
  const { lockState } = await import('../host/state/lock.js');
  const unlock = await lockState(path, {
    ...(signal && { signal }),
    onWait: (holder) => {
      session.io.stderr(`${holder} is changing devices; waiting for it to finish.\n`);
    },
  });
  try {
    return await task();
  } finally {
    unlock();
  }
}

/**
 * How a command removes a device: with `force` also from its users, who are then reported. If a server of vdpa is being
 * replaced, waits for it, since the kernel will ask it.
 */
export async function removalOptions(session: Session, name: string, force: boolean): Promise<RemovalOptions> {
  await (await vduseServers(session)).awaitReplacement(name);
  const { describeForced } = await import('../sysfs/removal.js');
  return {
    force,
    onForced: (inTheWay) => {
      for (const one of inTheWay) session.io.stderr(`Warning: ${describeForced(one)}.\n`);
    },
  };
}
