import type { Io } from '../../src/cli/io.js';
import type { Fault } from '../../src/sim/state/fault.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { bootState, bareMachine, type MachineState } from '../../src/sim/state/model.js';
import { SimulatedTransport, type SimulatedTransportOptions } from '../../src/sim/transport.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { vdpa, type Outcome } from './command-line.js';
import { MemoryStore, type Clock } from '../../src/sim/state/store.js';

/** A separate simulated machine, in memory: every interface to it sees the same state. */
export class TestMachine {
  readonly store: MemoryStore;
  readonly #kernel: SimulatedKernel;

  /**
   * @param machine deviations from the default machine
   * @param faults of the process, in addition to those of the machine
   * @param now its clock; by default that of this machine
   */
  constructor(machine: Partial<MachineState> = {}, faults: readonly Fault[] = [], now?: Clock) {
    this.store = new MemoryStore(bootState({ ...bareMachine, ...machine }), now && { now });
    this.#kernel = new SimulatedKernel(this.store, faults);
  }

  /** Runs a command line on it. A line is split at blanks; a list is used as is. */
  vdpa(line: string | readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
    return vdpa(line, { openTransport: () => this.openTransport(), ...io });
  }

  client(options: SimulatedTransportOptions & { readonly timeoutMs?: number } = {}): Promise<VdpaClient> {
    const { timeoutMs, ...transport } = options;
    return VdpaClient.open({
      transport: this.openTransport(transport),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
  }

  /** A socket of the machine. */
  openTransport(options: SimulatedTransportOptions = {}): SimulatedTransport {
    return new SimulatedTransport(this.#kernel, options);
  }
}
