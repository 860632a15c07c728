// npm run bench: installs what is missing, builds, and prints how long things take, compared with bare Node and iproute2.
import { endOnSignals, ensureBuilt, ensureModules } from './project.mjs';

endOnSignals();
ensureModules();
ensureBuilt();
await import('../build/bench/main.js');
