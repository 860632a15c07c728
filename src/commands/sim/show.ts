import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { renderSimulation } from '../../render/simulation.js';
import { Simulation } from '../../sim/simulation.js';

export default class SimShow extends VdpaCommand {
  static override summary = 'show the simulated machine';
  static override usage = ['vdpa sim show'];

  execute(session: Session, args: readonly string[]): Promise<void> {
    expectNoMore(args);
    const { store } = new Simulation(session.io.env);
    const state = store.read();
    session.printer.openSection('sim');
    renderSimulation(session.printer, store.path, state);
    session.printer.closeSection();
    return Promise.resolve();
  }
}
