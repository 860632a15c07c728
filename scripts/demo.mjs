// npm run demo: installs what is missing, builds, and shows the main job, the commands of demo.txt, on the lab's real
// kernel: each command before its output.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { endOnSignals, ensureBuilt, ensureModules, root } from './project.mjs';

endOnSignals();
ensureModules();
ensureBuilt();
const commands = readFileSync(join(root, 'scripts/demo.txt'), 'utf8').trim().split('\n');
const script = commands.map((command) => `echo '$ ${command}'\n${command} || exit\n`).join('');
const { main } = await import('../build/lab/main.js');
process.exitCode = await main([script]);
