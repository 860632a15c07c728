import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../support/guarded-memory.js', import.meta.url));

function lose(what: string): {
  readonly status: number | null;
  readonly signal: string | null;
  readonly said: string[];
} {
  const { status, signal, stdout } = spawnSync(process.execPath, [script, what], { encoding: 'utf8', timeout: 60_000 });
  return { status, signal, said: stdout.trim().split('\n') };
}

describe('truncated memory', { skip: process.arch !== 'x64' && 'there is no guard here' }, () => {
  test('a registered mapping: replaced with zeros, and counted once', () => {
    const { status, said } = lose('noted');
    assert.deepEqual({ status, said }, { status: 0, said: ['{"bytes":[0,0,1],"lost":true}', '{"lost":false}'] });
  });

  for (const [what, pages] of [
    ['a mapping that is copied', [7, 1, 1]],
    ['a mapping that is taken away', [1, 1, 1]],
  ] as const) {
    test(`${what}: a copy ends and reports it, a system call fails with EFAULT, JavaScript reads zeros`, () => {
      const { status, said } = lose(what.replace('a mapping that is ', ''));
      const gone = { copied: [false, false], filled: false, pages, written: -1, error: 'EFAULT', seen: 0, lost: true };
      assert.deepEqual({ status, said: said.map((line) => JSON.parse(line) as unknown) }, { status: 0, said: [gone] });
    });
  }

  for (const what of ['not noted', 'ended', 'of another thread']) {
    test(`a mapping that is ${what}: ends the process, as without a guard`, () => {
      assert.equal(lose(what).signal, 'SIGBUS');
    });
  }

  test('a SIGBUS sent by a process ends it, as without a guard', () => {
    assert.equal(lose('sent').signal, 'SIGBUS');
  });
});
