import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import type { TestEvent } from '../support/kernel/lab/events.js';

const id = (name: string, nesting = 0) => ({ name, nesting, place: '1:1' });
const start = (name: string, nesting = 0): TestEvent => ({ kind: 'start', ...id(name, nesting) });
const error = { name: 'TypeError', message: 'went wrong', stack: 'TypeError: went wrong\n    at inside.ts:3:4' };

/** Replays events as the only test of a run of node:test, and gives the run's status and TAP output. */
function replay(events: readonly TestEvent[], problem?: string): { status: number | null; output: string } {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  const script = `
    import { test } from 'node:test';
    import { Replay } from './build/test/support/kernel/lab/replay.js';
    test('file', async (context) => {
      const replay = new Replay(context);
      const bytes = new TextEncoder().encode(${JSON.stringify(lines)});
      for (let at = 0; at < bytes.length; at += 7) replay.take(bytes.subarray(at, at + 7));
      await replay.finish(${JSON.stringify(problem)});
    });`;
  const env = { ...process.env, NODE_TEST_CONTEXT: '' }; // This variable belongs to the test that runs here.
  const { status, stdout } = spawnSync(process.execPath, ['--test-reporter=tap', '--input-type=module', '-e', script], {
    cwd: checkoutRoot,
    env,
    encoding: 'utf8',
  });
  return { status, output: stdout };
}

test('tests that pass inside pass outside, under their names', () => {
  const { status, output } = replay([
    start('suite'),
    start('ä test', 1),
    { kind: 'end', ...id('ä test', 1), outcome: {} },
    { kind: 'end', ...id('suite'), outcome: {} },
    start('left out'),
    { kind: 'end', ...id('left out'), outcome: { skip: 'a reason' } },
    { kind: 'done' },
  ]);
  assert.equal(status, 0);
  assert.match(output, /^ {8}ok 1 - ä test$/m);
  assert.match(output, /^ {4}ok 1 - suite$/m);
  assert.match(output, /^ {4}ok 2 - left out # SKIP a reason$/m);
});

test('a failure inside is a failure outside, with its message and location', () => {
  const { status, output } = replay([
    start('suite'),
    start('bad', 1),
    { kind: 'end', ...id('bad', 1), outcome: { error } },
    { kind: 'end', ...id('suite'), outcome: {} },
    { kind: 'done' },
  ]);
  assert.equal(status, 1);
  assert.match(output, /^ {8}not ok 1 - bad$/m);
  assert.match(output, /error: 'went wrong'/);
  assert.match(output, /inside\.ts:3:4/);
});

test('a file without a test fails', () => {
  assert.equal(replay([{ kind: 'done' }]).status, 1);
});

test('a file that ends too early fails, and so do the tests that it has started', () => {
  const { status, output } = replay([start('suite'), start('begun', 1)]);
  assert.equal(status, 1);
  assert.match(output, /^ {8}not ok 1 - begun$/m);
});

test('a kernel that stops fails the file, even if no test failed', () => {
  const passed: TestEvent[] = [start('good'), { kind: 'end', ...id('good'), outcome: {} }, { kind: 'done' }];
  assert.equal(replay(passed).status, 0);
  const { status, output } = replay(passed, 'the kernel stopped');
  assert.equal(status, 1);
  assert.match(output, /the kernel stopped/);
});

test('a subtest that was cancelled with its parent is reported', () => {
  const { status, output } = replay([
    start('suite'),
    { kind: 'end', ...id('never began', 1), outcome: { error } },
    { kind: 'end', ...id('suite'), outcome: {} },
    { kind: 'done' },
  ]);
  assert.equal(status, 1);
  assert.match(output, /^ {8}not ok 1 - never began$/m);
});
