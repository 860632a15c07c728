/** The executable: the process's line, streams and exit status. */
import { processIo } from './io.js';
import { run } from './run.js';

void run(process.argv.slice(2), processIo()).then((status) => {
  process.exitCode = status;
});
