import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { LabError } from '../../lab/host.js';
import type { NodeVersion } from '../../lab/node-versions.js';
import { NODE_MAJORS, fetchNode } from '../../lab/node-versions.js';
import { runInside } from '../support/kernel/lab/run-inside.js';
import { chosenMachine, needsLab, theLab } from '../support/lab.js';

/** Files of test/kernel/ that together use netlink, events, child processes, threads and memory maps. */
const FILES = ['mgmtdev', 'vduse-block', 'monitor'];

/** Fetches a Node. Returns the reason if it is not available. */
async function node(major: number): Promise<NodeVersion | string> {
  try {
    return await fetchNode(major);
  } catch (error) {
    if (error instanceof LabError) return error.message.split('\n')[0] ?? '';
    throw error;
  }
}

const machine = chosenMachine ?? 'uml';

/** All other tests run with the host's own version. */
const others = NODE_MAJORS.filter((major) => !process.version.startsWith(`v${major}.`));

for (const major of others) {
  describe(`kernel tests with Node ${major}`, needsLab(machine), async () => {
    const found = await node(major);
    const options = typeof found === 'string' ? { skip: found } : {};
    for (const name of FILES) {
      test(`test/kernel/${name}.test.ts on ${machine} with Node ${major}`, options, async (context) => {
        if (typeof found === 'string') return;
        const path = join(checkoutRoot, `build/test/kernel/${name}.test.js`);
        await runInside(theLab(machine), path, context, found.file);
      });
    }
  });
}
