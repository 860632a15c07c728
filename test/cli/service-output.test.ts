import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';

const program = fileURLToPath(new URL('../support/service-program.js', import.meta.url));

const start = (what: string): ChildProcess =>
  spawn(process.execPath, [program, what], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });

/** Runs the program to its end. @returns its exit status, what it wrote, and the error that it told of */
async function run(what: string) {
  const child = start(what);
  const ended = once(child, 'close') as Promise<[number | null]>;
  const all = (stream: Readable | null): Promise<string> => text(stream ?? assert.fail());
  const [stdout, stderr, told] = await Promise.all([
    all(child.stdout),
    all(child.stderr),
    all(child.stdio[3] as Readable),
  ]);
  const [status] = await ended;
  return { status, stdout, stderr, told };
}

describe('the output of a service', () => {
  test('is standard error, in whichever way it is written', async () => {
    const { status, stdout, stderr } = await run('every way');
    assert.deepEqual([status, stdout], [0, '']);
    const lines = stderr.split('\n');
    for (const line of ['to standard output', 'to standard error', 'a warning', 'of two lines', 'the end', 'of it']) {
      assert.ok(lines.includes(line), line);
    }
    assert.match(stderr, /Warning: of Node/);
  });

  test('is limited, but what ends it is always said', async () => {
    const { stderr } = await run('too much');
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.filter((line) => line.startsWith('line ')).length, 20);
    assert.equal(lines.at(-1), 'the end');
  });

  test('has lines of a length that is written as a whole', async () => {
    const { stderr } = await run('a long line');
    assert.equal(stderr.length, 4096);
  });

  test('has the error that nobody caught, which ends it after the one who started it was told', async () => {
    const { status, stderr, told } = await run('an error');
    assert.deepEqual([status, told], [1, 'unexpected']);
    assert.match(stderr, /Error: unexpected\n +at /);
  });

  test('is not standard error any more when nobody reads there', async () => {
    assert.deepEqual(await run('detached'), { status: 0, stdout: '', stderr: '', told: 'true' });
  });

  test('does not end it when its reader is gone', async () => {
    const child = start('without a reader');
    const ended = once(child, 'close') as Promise<[number | null, string | null]>;
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.stdin?.end();
    assert.equal(await text(child.stdio[3] as Readable), 'lives');
    assert.deepEqual(await ended, [0, null]);
  });
});
