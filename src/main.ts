/** The executable: the process's line, streams and exit status. */
import { processArguments, processIo } from './cli/io.js';
import { whyUnsupported } from './sys/platform.js';
import { run } from './cli/run.js';
import { tree } from './command-tree.js';

async function start(): Promise<number> {
  const io = processIo();
  const reason = whyUnsupported();
  if (reason === undefined) return run(processArguments(), io, tree);
  io.stderr(`${reason}\n`);
  return 1;
}

void start().then((status) => {
  // All is written by now; to let Node run out of work would only take longer.
  process.exit(status);
});
