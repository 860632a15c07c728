import type { NetlinkTransport } from '../netlink/transport.js';
import { SimulatedKernel } from '../sim/kernel.js';
import { busInfo } from '../sim/machine/files/bus-info.js';
import { SimulatedFiles } from '../sim/machine/files/simulated-files.js';
import { MemoryUevents } from '../sim/memory-uevents.js';
import { parseMachine, type MachineDescription } from '../sim/state/description.js';
import type { Fault } from '../sim/state/fault.js';
import { bareMachine, bootState } from '../sim/state/model.js';
import { MemoryStore } from '../sim/state/store.js';
import { SimulatedTransport } from '../sim/transport.js';
import { VdpaBus } from '../sysfs/bus.js';

/** Properties of a simulated machine. */
export interface SimulateOptions {
  /**
   * Its management devices, VDUSE instances, user and bus driver, as in the files of `vdpa sim init`
   * (schemas/sim-machine.schema.json). By default `vdpasim_net`, `vdpasim_blk` and `vduse`, with virtio_vdpa.
   */
  readonly machine?: MachineDescription;
  /** Faults in addition to those of the description: errors, delays, devices that vanish. */
  readonly faults?: readonly Fault[];
  /**
   * The clock of the machine, in milliseconds since 1970, on which counters with described traffic depend; by default
   * Date.now()
   */
  readonly now?: () => number;
}

/** Properties of a socket of a simulated machine. */
export interface SocketOptions {
  /** The user of the socket; only 0, root, may change devices. By default the user of the machine. */
  readonly uid?: number;
}

/** A simulated machine, and a first socket to its kernel. */
export interface SimulatedMachine extends NetlinkTransport {
  /**
   * The vdpa bus of the machine, with its drivers, nodes, interfaces and disks; `bus.files` are its files in /sys, /proc
   * and /dev. Writes change the machine, as on a real one.
   */
  readonly bus: VdpaBus;
  /**
   * Opens a socket that receives the uevents of the machine from now on: the `transport` of a `VdpaMonitor`. Events are
   * kept until they are read, or the socket is closed.
   */
  openUevents(): NetlinkTransport;
  /** Another socket to the same kernel: for another client, or another user. */
  connect(options?: SocketOptions): NetlinkTransport;
}

/**
 * Creates a newly booted simulated machine in memory. `vdpa --sim`, whose machine is in a file
 * @throws SimulationError if the description is invalid
 */
export function simulate({ machine, faults = [], now }: SimulateOptions = {}): SimulatedMachine {
  const state = machine === undefined ? bareMachine : parseMachine(JSON.stringify(machine), 'The option "machine"');
  const store = new MemoryStore(bootState(state), now && { now });
  const kernel = new SimulatedKernel(store, faults);
  let port = process.pid;
  return Object.assign(new SimulatedTransport(kernel, { port }), {
    bus: new VdpaBus(new SimulatedFiles(store), (netdev) => busInfo(store.read(), netdev)),
    openUevents: () => new MemoryUevents(store),
    connect: (options: SocketOptions = {}) => new SimulatedTransport(kernel, { ...options, port: ++port }),
  });
}
