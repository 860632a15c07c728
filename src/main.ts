/** The executable: command line, streams and exit status of the process. */
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
  // All output is written by now; letting Node run out of work would only take longer.
  process.exit(status);
});
