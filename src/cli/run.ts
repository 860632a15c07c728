import { dispatch, helpOn } from './dispatch.js';
import type { Io } from './io.js';
import { runLine, type Ways } from './run-line.js';

/**
 * Runs a command line of `vdpa`.
 * @param argv the words behind the program's name
 * @returns the exit status: 0, or 1 where anything failed. Never rejects
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // What the scripts in completions/ call.
  if (argv[0] === '__complete') {
    const { complete } = await import('./complete.js');
    return complete(argv.slice(1), io);
  }
  return runLine(argv, io, { execute: dispatch, runBatch, helpOn });
}

const runBatch: Ways['runBatch'] = async (batch, io) => (await import('./batch.js')).runBatch(batch, io);
