import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Ending, Lab } from '../lab/boot.js';
import { boot } from '../lab/boot.js';
import { checkoutRoot } from '../lab/cache.js';
import { Replay } from './support/kernel/replay.js';
import { needsLab, theLab } from './support/lab.js';

const TIME_LIMIT_MS = 600_000;

const folder = join(checkoutRoot, 'build/test/kernel');
const pattern = process.env['VDPA_TEST_PATTERN'] ?? '';
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => 'test/lab.test.ts'.includes(pattern) || sourceOf(name).includes(pattern));

describe('in the lab', { concurrency: availableParallelism(), ...needsLab }, () => {
  test('all that npm test should set up is there', () => {
    assert.equal(process.env['VDPA_LAB_PROBLEM'] ?? '', '');
  });
  for (const file of files) {
    test(sourceOf(file), async (context) => {
      await runInside(theLab(), file, new Replay(context));
    });
  }
});

function sourceOf(file: string): string {
  return `test/kernel/${file.replace(/js$/, 'ts')}`;
}

/** Runs one test file on a kernel of its own. */
async function runInside(lab: Lab, file: string, replay: Replay): Promise<void> {
  const reporter = join(checkoutRoot, 'build/test/support/kernel/reporter.js');
  const report = [`--test-reporter=${reporter}`, '--test-reporter-destination=/run/lab/results'];
  const session = {
    command: ['node', '--enable-source-maps', ...report, join(folder, file)],
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
  await replay.finish(problemOf(ending));
}

function problemOf(ending: Ending): string | undefined {
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
