import { join } from 'node:path';
import { boot } from '../lab/boot.js';
import { checkoutRoot } from '../lab/cache.js';
import { LabError } from '../lab/host.js';
import { prepareLab } from '../lab/setup.js';
import { cleanEnvironment, timeOf } from './measure.js';
import { leaveOut, type Row } from './report.js';

const timeLimitMs = 300_000;

/** Measurements that need a kernel, and iproute2's tool for comparison; made inside the lab. */
export async function measureInLab(): Promise<Row[]> {
  try {
    const lab = await prepareLab();
    if ('missing' in lab) throw new LabError(lab.missing);
    if (lab.reference === undefined) throw new LabError("iproute2's vdpa is not available");
    // The guest cannot cache compiled code: a run outside does it.
    timeOf([process.execPath, join(checkoutRoot, 'bin/vdpa.js'), '-V'], cleanEnvironment());
    let output = '';
    let errors = '';
    const command = ['node', join(import.meta.dirname, 'in-lab.js')];
    const ending = await boot(
      lab,
      { command, cwd: '/', timeLimitMs },
      {
        stdout: (bytes) => (output += Buffer.from(bytes).toString()),
        stderr: (bytes) => (errors += Buffer.from(bytes).toString()),
      },
    );
    if (ending.kind !== 'exited' || ending.status !== 0) throw new LabError(errors === '' ? ending.kind : errors);
    return JSON.parse(output) as Row[];
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    leaveOut('what needs a kernel', error.message);
    return [];
  }
}
