// npm runs this before `npm pack` and `npm publish`: compiles the program for the newest Node of each supported version
// (src/cli/launcher.ts), for installations in which nobody can write. A Node that cannot be fetched is left out.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureModules, ensurePackageBuilt, root, say } from './project.mjs';

ensureModules();
ensureBuilt();
ensurePackageBuilt();

// Nothing that another build of Node or another environment has made is shipped. The same seed makes the same bytes.
rmSync(join(root, 'bin/cache'), { recursive: true, force: true });
const compile = ['--random-seed=1', join(root, 'bin/vdpa.js'), '-V'];

const { NODE_MAJORS, fetchNode } = await import('../build/lab/node-versions.js');
for (const major of NODE_MAJORS) {
  try {
    const { file } = await fetchNode(major);
    // V8 accepts code only with the flags that it was compiled with: the environment must not set any.
    const { status } = spawnSync(file, compile, { env: {}, stdio: ['ignore', 'ignore', 2] });
    if (status !== 0) say(`vdpa: not compiled for Node ${major}: the program has failed`);
  } catch (error) {
    say(`vdpa: not compiled for Node ${major}: ${error.message}`);
  }
}
