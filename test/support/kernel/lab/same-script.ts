/** Scripts of test/scripts, on the machine that this runs on and on a simulated one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkoutRoot } from '../../../../lab/cache.js';
import type { MachineDescription } from '../../../../src/sim/state/description.js';
import type { Outcome } from '../../command-line.js';

/** The lab without PCI devices. */
export const simulators: MachineDescription = { mgmtdev: { vdpasim_net: {}, vdpasim_blk: {}, vduse: {} } };

/**
 * Runs a line of bash in test/scripts here, and on a simulated machine: what it prints and its status must be the same.
 * @param machine describes this machine for the simulation
 */
export function sameScript(machine: MachineDescription, line: string): Outcome {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-scripts-'));
  try {
    const [description, files] = [join(folder, 'machine.json'), join(folder, 'files')];
    writeFileSync(description, JSON.stringify(machine));
    const bash = ['bash', '--norc', '-c', line];
    const real = run(bash);
    const simulated = run(['vdpa', 'sim', 'run', 'machine', description, 'export', files, '--', ...bash]);
    // Scripts that print their commands show the folder of the machine's files.
    assert.deepEqual({ ...simulated, stderr: simulated.stderr.replaceAll(files, '') }, real, line);
    return real;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run([program = '', ...words]: readonly string[]): Outcome {
  const cwd = join(checkoutRoot, 'test/scripts');
  const { status, stdout, stderr, error } = spawnSync(program, words, { cwd, encoding: 'utf8', timeout: 120_000 });
  assert.ifError(error);
  return { status: status ?? -1, stdout, stderr };
}
