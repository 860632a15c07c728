import type { TestContext } from 'node:test';
import { basename, dirname, join } from 'node:path';
import type { Ending, Lab } from '../../../../lab/boot.js';
import { boot } from '../../../../lab/boot.js';
import { checkoutRoot } from '../../../../lab/cache.js';
import { Replay } from './replay.js';

const LONG_MS = 3 * 3_600_000;

const USUAL_MS = 1_200_000;

const timeLimitMs = (file: string): number => (basename(dirname(file)) === 'long' ? LONG_MS : USUAL_MS);

/** Files that need a kernel without one of its drivers, with the function that registers it. */
const LEFT_OUT: Readonly<Record<string, string>> = { 'scripts-vhost.test.js': 'virtio_vdpa_driver_init' };

function kernelParameters(file: string): readonly string[] {
  const initcall = LEFT_OUT[basename(file)];
  return initcall === undefined ? [] : [`initcall_blacklist=${initcall}`];
}

/**
 * A crash of QEMU itself: its emulation of two processors looks up a memory section that the other one has just replaced. It says
 * nothing about what ran inside.
 */
const EMULATOR_FAULT = /iotlb_to_section: Assertion .* failed/;

/**
 * Runs one compiled test file on its own kernel, and shows its tests as subtests of the one outside. If the emulator itself
 * fails, it is run once more.
 * @param node the Node that runs it; that of this process by default
 */
export async function runInside(lab: Lab, file: string, context: TestContext, node?: string): Promise<void> {
  const first = await runOnce(lab, file, context, node);
  if (first.ending.kind !== 'died' || !EMULATOR_FAULT.test(first.ending.console)) return first.finish();
  context.diagnostic(`QEMU has failed, and the file is run once more: ${first.ending.console}`);
  await (await runOnce(lab, file, context, node)).finish();
}

interface Run {
  readonly ending: Ending;
  /** Shows the tests. */
  readonly finish: () => Promise<void>;
}

async function runOnce(lab: Lab, file: string, context: TestContext, node: string | undefined): Promise<Run> {
  const reporter = join(checkoutRoot, 'build/test/support/kernel/lab/reporter.js');
  const report = [`--test-reporter=${reporter}`, '--test-reporter-destination=/run/lab/results'];
  const session = {
    command: ['node', '--enable-source-maps', ...report, file],
    cwd: checkoutRoot,
    timeLimitMs: timeLimitMs(file),
    kernelParameters: kernelParameters(file),
    ...(node === undefined ? {} : { node }),
  };
  // Only those on User-Mode Linux are shown immediately: it has no emulator that could fail.
  const live = lab.machine.kind === 'uml' ? new Replay(context) : undefined;
  const results: Uint8Array[] = [];
  const ending = await boot(lab, session, {
    stdout: (bytes) => process.stdout.write(bytes),
    stderr: (bytes) => process.stderr.write(bytes),
    results: (bytes) => {
      if (live) live.take(bytes);
      else results.push(Uint8Array.from(bytes));
    },
  });
  const finish = async (): Promise<void> => {
    const replay = live ?? new Replay(context);
    for (const bytes of results) replay.take(bytes);
    await replay.finish(whyEnded(ending));
  };
  return { ending, finish };
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
