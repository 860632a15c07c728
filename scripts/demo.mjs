// npm run demo: installs what is missing, builds, and shows the tour: the commands of demo.txt, each followed by its output,
// on a separate simulated machine; with the argument `kernel` (npm run demo:kernel) on the lab's real kernel.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { endOnSignals, ensureBuilt, ensureModules, root, say } from './project.mjs';

endOnSignals();
ensureModules();
ensureBuilt();
const commands = readFileSync(join(root, 'scripts/demo.txt'), 'utf8').trim().split('\n');
const script = commands.map((command) => `echo '$ ${command}'\n${command} || exit\n`).join('');
const onKernel = process.argv[2] === 'kernel';
process.exitCode = onKernel ? await runInLab() : runOnSimulation();
if (process.exitCode === 0) say(howToGoOn());

function howToGoOn() {
  const [what, how] = onKernel
    ? ['a real Linux kernel', 'npm run lab              a shell on that kernel']
    : [
        'a simulated machine',
        'npx vdpa --sim help      more on a simulated machine; npm run demo:kernel has a real kernel',
      ];
  return `
That was ${what}. To continue, in this folder:
  ${how}
  npx vdpa host show       is this machine ready for vDPA, and what to do if it is not
To install: README.md, "Install".`;
}

async function runInLab() {
  const { main } = await import('../build/lab/main.js');
  return main([script]);
}

function runOnSimulation() {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-demo-'));
  try {
    mkdirSync(join(folder, 'bin'));
    symlinkSync(join(root, 'bin/vdpa.js'), join(folder, 'bin/vdpa'));
    const env = {
      ...process.env,
      PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
      VDPA_SIM: '1',
      VDPA_SIM_STATE: join(folder, 'sim.json'),
    };
    const { status } = spawnSync('sh', ['-c', script], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    return status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
