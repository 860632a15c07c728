import { withController } from './controller.js';
import { Faults } from './faults.js';
import type { Fault } from './faults.js';
import { handleGenericMessage } from './genetlink.js';
import type { MachineStore } from './machine.js';
import { NetlinkSocketEnd } from './netlink-socket.js';
import type { NetlinkSocketOptions } from './netlink-socket.js';
import { vdpaFamily } from './vdpa-family.js';

/** The kernel of a simulated machine, as far as netlink sockets see it: generic netlink with the family vdpa. */
export class SimulatedKernel {
  readonly machine: MachineStore;
  readonly #families;
  #delay = 0;

  /** @param faults beside those of the machine. */
  constructor(machine: MachineStore, faults: readonly Fault[] = []) {
    this.machine = machine;
    const met = new Faults(machine, faults, (milliseconds) => {
      this.#delay += milliseconds;
    });
    this.#families = withController([vdpaFamily({ machine, faults: met })]);
  }

  /** The kernel's end of a new socket. */
  openSocket(port: number, options: NetlinkSocketOptions): NetlinkSocketEnd {
    return new NetlinkSocketEnd((request) => handleGenericMessage(this.#families, request), port, options);
  }

  /** How long the kernel took for what it did since this was last asked, beyond no time at all; in milliseconds. */
  takeDelay(): number {
    const delay = this.#delay;
    this.#delay = 0;
    return delay;
  }
}
