import type { Branch } from './branch.js';
import { dispatch, helpOn } from './dispatch.js';
import type { Io } from './io.js';
import { runLine } from './run-line.js';

/**
 * Runs a command line of `vdpa`.
 * @param argv the words behind the program's name
 * @param tree the commands that there are
 * @returns the exit status: 0, or 1 where anything failed. Never rejects
 */
export async function run(argv: readonly string[], io: Io, tree: Branch): Promise<number> {
  // What the scripts in completions/ call.
  if (argv[0] === '__complete') {
    const { complete } = await import('./complete.js');
    return complete(argv.slice(1), io, tree);
  }
  return runLine(argv, io, {
    execute: (session, args) => dispatch(session, args, tree),
    runBatch: async (batch) => (await import('./batch.js')).runBatch(batch, io, tree),
    helpOn: (args) => helpOn(args, tree),
  });
}
