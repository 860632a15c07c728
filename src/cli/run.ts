import type { Branch } from './branch.js';
import { dispatch, helpOn } from './dispatch.js';
import type { Io } from './io.js';
import { runLine } from './run-line.js';

/**
 * Runs a command line of `vdpa`.
 * @param argv the arguments after the program's name
 * @param tree all commands
 * @returns the exit status: 0, or 1 for a failure. Never rejects
 */
export async function run(argv: readonly string[], io: Io, tree: Branch): Promise<number> {
  // Called by the scripts in completions/.
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
