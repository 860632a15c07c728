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

describe('memory that is cut short underneath', { skip: process.arch !== 'x64' && 'there is no guard here' }, () => {
  test('a mapping that was noted: zeros are in its place, and it counts once', () => {
    const { status, said } = lose('noted');
    assert.deepEqual({ status, said }, { status: 0, said: ['{"bytes":[0,0,1],"lost":true}', '{"lost":false}'] });
  });

  for (const what of ['not noted', 'ended', 'of another thread']) {
    test(`a mapping that is ${what}: ends the process, as without a guard`, () => {
      assert.equal(lose(what).signal, 'SIGBUS');
    });
  }

  test('SIGBUS that someone sends ends the process, as without a guard', () => {
    assert.equal(lose('sent').signal, 'SIGBUS');
  });
});
