import { readFileSync } from 'node:fs';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { parseMachine } from '../../sim/machine-description.js';
import { Simulation } from '../../sim/simulation.js';
import { defaultMachine, type MachineState } from '../../sim/state.js';

export default class SimInit extends VdpaCommand {
  static override summary = 'make a new simulated machine, as a file describes it or as usual';
  static override usage = ['vdpa sim init [ FILE ]'];
  static override operand = 'file' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const file = parseOperand((word) => word, words);
    await new Simulation(session.io.env).boot(file === undefined ? defaultMachine : readMachine(file));
  }
}

/** The machine that a file describes, or standard input where it is called `-`. @throws UsageError, SimulationError */
function readMachine(file: string): MachineState {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return parseMachine(text, file === '-' ? 'Standard input' : file);
}
