/** The tests of the machine debian, on the oldest of Debian's kernels that has VDUSE: 6.1 has it disabled. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Lab } from '../../lab/boot.js';
import { checkoutRoot } from '../../lab/cache.js';
import { LabError } from '../../lab/host.js';
import type { DebianKernel } from '../../lab/kernel/debian.js';
import { cachedDebianKernel, fetchDebianKernel } from '../../lab/kernel/debian.js';
import { runInside } from '../support/kernel/lab/run-inside.js';
import { machines, needsLab, theLab } from '../support/lab.js';

const OLDEST = '6.12';
/** Compares with the simulated machine, which is a newer kernel. */
const NEWEST_ONLY = 'simulation-machine.test.js';

/** The kernel, or the reason why it is not available. */
async function oldestKernel(): Promise<DebianKernel | string> {
  try {
    if (cachedDebianKernel(OLDEST) === undefined) await fetchDebianKernel(OLDEST);
    return cachedDebianKernel(OLDEST) ?? `Debian's kernel ${OLDEST} is missing`;
  } catch (error) {
    if (error instanceof LabError) return error.message.replaceAll('\n', ' ');
    throw error;
  }
}

/** The lab, with another kernel in its machine debian. */
function labWith(kernel: DebianKernel): Lab {
  const lab = theLab('debian');
  if (lab.machine.kind !== 'debian') throw new Error(`the machine debian is a ${lab.machine.kind}`);
  return { ...lab, machine: { ...lab.machine, ...kernel } };
}

const isForOldest = (name: string): boolean => name.endsWith('.test.js') && name !== NEWEST_ONLY;

if (machines.includes('debian')) {
  describe(`kernel tests on Debian's kernel ${OLDEST}`, needsLab('debian'), async () => {
    const kernel = await oldestKernel();
    const folder = join(checkoutRoot, 'build/test/kernel/debian');
    for (const file of readdirSync(folder).filter(isForOldest)) {
      const name = `test/kernel/debian/${file.replace(/js$/, 'ts')} on ${OLDEST}`;
      if (typeof kernel === 'string') test(name, { skip: kernel });
      else test(name, async (context) => runInside(labWith(kernel), join(folder, file), context));
    }
  });
}
