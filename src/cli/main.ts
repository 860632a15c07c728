/** The executable: the process's line, streams and exit status. */
import { processArguments, processIo } from './io.js';
import { run } from './run.js';

void run(processArguments(), processIo()).then((status) => {
  // All is written by now; to let Node run out of work would only take longer.
  process.exit(status);
});
