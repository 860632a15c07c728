import type { NetlinkTransport } from '../netlink/transport.js';
import { SimulatedKernel } from '../sim/kernel.js';
import { parseMachine, type MachineDescription } from '../sim/state/description.js';
import type { Fault } from '../sim/state/fault.js';
import { bareMachine, bootState } from '../sim/state/model.js';
import { MemoryStore } from '../sim/state/store.js';
import { SimulatedTransport } from '../sim/transport.js';

/** Properties of a simulated machine. */
export interface SimulateOptions {
  /**
   * Its management devices, VDUSE instances, user and bus driver, as in the files of `vdpa sim init`
   * (schemas/sim-machine.schema.json). By default `vdpasim_net`, `vdpasim_blk` and `vduse`, with virtio_vdpa.
   */
  readonly machine?: MachineDescription;
  /** Faults in addition to those of the description: errors, delays, devices that vanish. */
  readonly faults?: readonly Fault[];
}

/** Properties of a socket of a simulated machine. */
export interface SocketOptions {
  /** The user of the socket; only 0, root, may change devices. By default the user of the machine. */
  readonly uid?: number;
}

/** A simulated machine, and a first socket to its kernel. */
export interface SimulatedMachine extends NetlinkTransport {
  /** Another socket to the same kernel: for another client, or another user. */
  connect(options?: SocketOptions): NetlinkTransport;
}

/**
 * Creates a newly booted simulated machine in memory. `vdpa --sim`, whose machine is in a file
 * @throws SimulationError if the description is invalid
 */
export function simulate({ machine, faults = [] }: SimulateOptions = {}): SimulatedMachine {
  const state = machine === undefined ? bareMachine : parseMachine(JSON.stringify(machine), 'The option "machine"');
  const kernel = new SimulatedKernel(new MemoryStore(bootState(state)), faults);
  let port = process.pid;
  return Object.assign(new SimulatedTransport(kernel, { port }), {
    connect: (options: SocketOptions = {}) => new SimulatedTransport(kernel, { ...options, port: ++port }),
  });
}
