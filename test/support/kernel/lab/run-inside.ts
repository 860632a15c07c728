import type { TestContext } from 'node:test';
import { join } from 'node:path';
import type { Ending, Lab } from '../../../../lab/boot.js';
import { boot } from '../../../../lab/boot.js';
import { checkoutRoot } from '../../../../lab/cache.js';
import type { MachineKind } from '../../../../lab/machine/machine.js';
import { Replay } from './replay.js';

/** An emulated processor is several times slower. */
const timeLimitMs = (machine: MachineKind): number => (machine === 'uml' ? 600_000 : 1_200_000);

/**
 * Runs one built test file on a kernel of its own, and shows its tests as subtests of the one outside.
 * @param node the Node that runs it; this process's by default
 */
export async function runInside(lab: Lab, file: string, context: TestContext, node?: string): Promise<void> {
  const replay = new Replay(context);
  const reporter = join(checkoutRoot, 'build/test/support/kernel/lab/reporter.js');
  const report = [`--test-reporter=${reporter}`, '--test-reporter-destination=/run/lab/results'];
  const session = {
    command: ['node', '--enable-source-maps', ...report, file],
    cwd: checkoutRoot,
    timeLimitMs: timeLimitMs(lab.machine.kind),
    ...(node === undefined ? {} : { node }),
  };
  const ending = await boot(lab, session, {
    stdout: (bytes) => process.stdout.write(bytes),
    stderr: (bytes) => process.stderr.write(bytes),
    results: (bytes) => {
      replay.take(bytes);
    },
  });
  await replay.finish(whyEnded(ending));
}

function whyEnded(ending: Ending): string | undefined {
  switch (ending.kind) {
    case 'exited':
      // Status 1 is node:test's own for failed tests, which are reported one by one.
      return ending.status <= 1 ? undefined : `the test process ended with status ${ending.status}`;
    case 'died':
      return `the kernel stopped; its last words:\n${ending.console}`;
    case 'timed out':
      return `still running after ${ending.afterMs / 1000} s\n${ending.console}`;
  }
}
