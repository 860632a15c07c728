import type { Fault } from '../../src/sim/fault.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { MemoryStore } from '../../src/sim/machine.js';
import { bootedState, defaultMachine } from '../../src/sim/state.js';
import type { MachineState } from '../../src/sim/state.js';
import { SimulatedTransport } from '../../src/sim/transport.js';
import type { SimulatedTransportOptions } from '../../src/sim/transport.js';
import { VdpaClient } from '../../src/vdpa/client.js';

/** A simulated machine in memory, and the way to make clients of it. */
export class SimulatedMachine {
  readonly store: MemoryStore;
  readonly #kernel: SimulatedKernel;

  constructor(machine: Partial<MachineState> = {}, faults: readonly Fault[] = []) {
    this.store = new MemoryStore(bootedState({ ...defaultMachine, ...machine }));
    this.#kernel = new SimulatedKernel(this.store, faults);
  }

  client(options: SimulatedTransportOptions & { readonly timeoutMs?: number } = {}): Promise<VdpaClient> {
    const { timeoutMs, ...transport } = options;
    return VdpaClient.open({
      transport: new SimulatedTransport(this.#kernel, transport),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
  }
}
