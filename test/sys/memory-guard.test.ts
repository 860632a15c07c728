import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../support/guarded-memory.js', import.meta.url));

/** Runs a scenario of guarded-memory.ts in a process. @returns how it ended, and the lines of its output */
function run(scenario: string): {
  readonly status: number | null;
  readonly signal: string | null;
  readonly lines: string[];
} {
  const { status, signal, stdout } = spawnSync(process.execPath, [script, scenario], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, signal, lines: stdout.trim().split('\n') };
}

describe('the guard of mapped memory', { skip: process.arch !== 'x64' && 'not supported on this architecture' }, () => {
  test('a registered mapping that is truncated: zeros replace it, and it is counted once', () => {
    const { status, lines } = run('registered');
    assert.deepEqual({ status, lines }, { status: 0, lines: ['{"bytes":[0,0,1],"lost":true}', '{"lost":false}'] });
  });

  for (const [what, scenario, pages] of [
    ['a truncated mapping', 'truncated', [7, 1, 1]],
    ['a revoked mapping', 'revoked', [1, 1, 1]],
  ] as const) {
    test(`${what}: a copy ends with an error, system calls fail with EFAULT, JavaScript reads zeros`, () => {
      const { status, lines } = run(scenario);
      const outcome = {
        copied: [false, false],
        filled: false,
        pages,
        written: -1,
        error: 'EFAULT',
        seen: 0,
        lost: true,
      };
      assert.deepEqual(
        { status, outcomes: lines.map((line) => JSON.parse(line) as unknown) },
        { status: 0, outcomes: [outcome] },
      );
    });
  }

  for (const [what, scenario] of [
    ['an access to an unregistered mapping', 'unregistered'],
    ['an access after the guard has ended', 'unguarded'],
    ['an access of another thread', 'other-thread'],
    ['a SIGBUS sent by a process', 'kill'],
  ] as const) {
    test(`${what}: the process ends, as without a guard`, () => {
      assert.equal(run(scenario).signal, 'SIGBUS');
    });
  }
});
