/** The executable: the process's line, streams and exit status. */
import { processArguments, processIo } from './io.js';
import { run } from './run.js';

void run(processArguments(), processIo()).then((status) => {
  process.exitCode = status;
});
