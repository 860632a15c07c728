import type { Io } from '../../src/cli/io.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { MemoryStore } from '../../src/sim/machine.js';
import { bootedState, defaultMachine } from '../../src/sim/state.js';
import { SimulatedTransport } from '../../src/sim/transport.js';
import { vdpa, type Outcome } from './command-line.js';

/** A simulated machine of its own: what a command changes there, the next one sees. */
export class TestMachine {
  readonly store = new MemoryStore(bootedState(defaultMachine));
  readonly #kernel = new SimulatedKernel(this.store);

  /** Runs a command line on it. A line is cut at blanks; a list is taken as it is. */
  vdpa(line: string | readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
    return vdpa(line, { openTransport: () => new SimulatedTransport(this.#kernel), ...io });
  }
}
