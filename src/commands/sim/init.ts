import { VdpaCommand } from '../../cli/command.js';
import { parseOperand } from '../../cli/grammar.js';
import { readMachine } from '../../cli/machine-file.js';
import type { Session } from '../../cli/session.js';
import { Simulation } from '../../sim/simulation.js';
import { defaultMachine } from '../../sim/state/default-machine.js';

export default class SimInit extends VdpaCommand {
  static override summary = 'create a simulated machine, the default one or from a file';
  static override usage = ['vdpa sim init [ FILE ]'];
  static override operand = 'file' as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const file = parseOperand((word) => word, args);
    await new Simulation(session.io.env).boot(file === undefined ? defaultMachine : readMachine(file));
  }
}
