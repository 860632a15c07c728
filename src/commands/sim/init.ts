import { VdpaCommand } from '../../cli/command.js';
import { parseOperand } from '../../cli/grammar.js';
import { readText } from '../../cli/input.js';
import type { Session } from '../../cli/session.js';
import { parseMachine } from '../../sim/state/description.js';
import { Simulation } from '../../sim/simulation.js';
import type { MachineState } from '../../sim/state/model.js';
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

/** The machine described by a file, or by standard input for `-`. @throws UsageError, SimulationError */
function readMachine(file: string): MachineState {
  return parseMachine(readText(file), file === '-' ? 'Standard input' : file);
}
