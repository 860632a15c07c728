// npm run bench:vduse [-- OPTION…]: installs what is missing, builds, and prints how fast VDUSE devices are in the lab, compared
// with those of qemu-storage-daemon and the kernel's simulators.
import { endOnSignals, ensureBuilt, ensureModules } from './project.mjs';

endOnSignals();
ensureModules();
ensureBuilt();
await import('../build/bench/vduse/main.js');
