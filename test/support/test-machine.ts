import type { Io } from '../../src/cli/io.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { MemoryStore } from '../../src/sim/machine.js';
import { bootedState, defaultMachine, type MachineState } from '../../src/sim/state.js';
import { SimulatedTransport } from '../../src/sim/transport.js';
import { vdpa, type Outcome } from './command-line.js';

/** A simulated machine of its own: what a command changes there, the next one sees. */
export class TestMachine {
  readonly store: MemoryStore;
  readonly #kernel: SimulatedKernel;

  constructor(machine: MachineState = defaultMachine) {
    this.store = new MemoryStore(bootedState(machine));
    this.#kernel = new SimulatedKernel(this.store);
  }

  /** Runs a command line on it. A line is cut at blanks; a list is taken as it is. */
  vdpa(line: string | readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
    return vdpa(line, { openTransport: () => this.openTransport(), ...io });
  }

  /** A socket of the machine. */
  openTransport(): NetlinkTransport {
    return new SimulatedTransport(this.#kernel);
  }
}
