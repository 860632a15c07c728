// npm run lab -- [OPTION…] [COMMAND…]: runs a command, or a shell, on the lab's real kernel. See docs/lab.md.
import { endOnSignals, ensureBuilt, ensureModules } from './project.mjs';

endOnSignals();
ensureModules();
ensureBuilt();
const { main } = await import('../build/lab/main.js');
process.exitCode = await main(process.argv.slice(2));
