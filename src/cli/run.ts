import { dispatch } from './dispatch.js';
import type { Io } from './io.js';
import { runLine } from './run-line.js';

/**
 * Runs a command line of `vdpa`.
 * @param argv the words behind the program's name
 * @returns the exit status: 0, or 1 where anything failed
 */
export function run(argv: readonly string[], io: Io): Promise<number> {
  return runLine(argv, io, dispatch);
}
