import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Ending, Lab } from '../lab/boot.js';
import { boot } from '../lab/boot.js';
import { checkoutRoot } from '../lab/cache.js';
import { kernelTestFiles } from './support/kernel/files.js';
import { Replay } from './support/kernel/replay.js';
import { chosenMachine, machines, needsLab, problemOf, theLab } from './support/lab.js';

const TIME_LIMIT_MS = 600_000;

const pattern = process.env['VDPA_TEST_PATTERN'] ?? '';
const files = kernelTestFiles('test/lab.test.ts'.includes(pattern) ? '' : pattern, chosenMachine);

/** How many guests run at once: one of two processors takes as much of the host as two of one. */
const guests = { uml: availableParallelism(), qemu: Math.max(1, Math.floor(availableParallelism() / 2)) };

for (const machine of machines) {
  const own = files.filter((file) => file.machine === machine);
  if (own.length === 0) continue;
  describe(`in the lab, on ${machine}`, { concurrency: guests[machine], ...needsLab(machine) }, () => {
    test('all that npm test should set up is there', () => {
      assert.equal(problemOf(machine), '');
    });
    for (const { source, path } of own) {
      test(`${source} on ${machine}`, async (context) => {
        await runInside(theLab(machine), path, new Replay(context));
      });
    }
  });
}

/** Runs one test file on a kernel of its own. */
async function runInside(lab: Lab, file: string, replay: Replay): Promise<void> {
  const reporter = join(checkoutRoot, 'build/test/support/kernel/reporter.js');
  const report = [`--test-reporter=${reporter}`, '--test-reporter-destination=/run/lab/results'];
  const session = {
    command: ['node', '--enable-source-maps', ...report, file],
    cwd: checkoutRoot,
    timeLimitMs: TIME_LIMIT_MS,
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
