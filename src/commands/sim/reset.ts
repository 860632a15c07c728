import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { SimulationError } from '../../sim/error.js';
import { Simulation } from '../../sim/simulation.js';
import { defaultMachine } from '../../sim/state/default-machine.js';

export default class SimReset extends VdpaCommand {
  static override summary = 'reboot the simulated machine, which removes its devices and resets its faults';
  static override usage = ['vdpa sim reset'];

  async execute(session: Session, args: readonly string[]): Promise<void> {
    expectNoMore(args);
    const simulation = new Simulation(session.io.env);
    try {
      const { machine, files } = simulation.store.read();
      await simulation.boot(machine, files);
    } catch (error) {
      if (!(error instanceof SimulationError)) throw error;
      // Its configuration cannot be read.
      await simulation.boot(defaultMachine);
      session.io.stderr(
        `Warning: ${simulation.store.path} was damaged and has been replaced with the default machine.\n`,
      );
    }
  }
}
