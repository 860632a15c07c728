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

/** Runs the program to its end. @returns its exit status, what it wrote, and the error that it reported */
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
  test('is standard error, however it is written', async () => {
    const { status, stdout, stderr } = await run('every way');
    assert.deepEqual([status, stdout], [0, '']);
    const lines = stderr.split('\n');
    for (const line of ['to standard output', 'to standard error', 'a warning', 'of two lines', 'the end', 'of it']) {
      assert.ok(lines.includes(line), line);
    }
    assert.match(stderr, /Warning: of Node/);
  });

  test('is limited, but the error that ends it is always reported', async () => {
    const { stderr } = await run('too much');
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.filter((line) => line.startsWith('line ')).length, 20);
    assert.equal(lines.at(-1), 'the end');
  });

  test('has lines short enough to be written in one piece', async () => {
    const { stderr } = await run('a long line');
    assert.equal(stderr.length, 4096);
  });

  test('has the uncaught error that ends the service, after whoever started it is notified', async () => {
    const { status, stderr, told } = await run('an error');
    assert.deepEqual([status, told], [1, 'unexpected']);
    assert.match(stderr, /Error: unexpected\n +at /);
  });

  test('is no longer standard error once nobody reads that', async () => {
    assert.deepEqual(await run('detached'), { status: 0, stdout: '', stderr: '', told: 'true' });
  });

  test('does not end the service when its reader is gone', async () => {
    const child = start('without a reader');
    const ended = once(child, 'close') as Promise<[number | null, string | null]>;
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.stdin?.end();
    assert.equal(await text(child.stdio[3] as Readable), 'lives');
    assert.deepEqual(await ended, [0, null]);
  });
});
