import { parseMachine } from '../sim/state/description.js';
import type { MachineState } from '../sim/state/model.js';
import { readText } from './input.js';

/** The machine described by a file, or by standard input for `-`. @throws UsageError, SimulationError */
export function readMachine(file: string): MachineState {
  return parseMachine(readText(file), file === '-' ? 'Standard input' : file);
}
