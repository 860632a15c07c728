import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Io } from '../../src/cli/io.js';
import { TestMachine } from '../support/test-machine.js';

/** Watches a device that is deleted after the second sample. @returns what was printed each time, and the outcome */
async function watch(line: string, io: Partial<Io> = {}) {
  const machine = new TestMachine();
  const client = await machine.client();
  await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' });
  const printed: string[] = [];
  const { status, stderr } = await machine.vdpa(line, {
    ...io,
    stdout: (text) => {
      printed.push(text);
      if (printed.length === 2) void client.deleteDevice('foo0');
    },
  });
  return { printed, status, stderr };
}

describe('watched statistics', { concurrency: true }, () => {
  test('are printed one after another until the device is deleted', async () => {
    const { printed, status, stderr } = await watch('-w dev stats show foo0');
    assert.equal(status, 1);
    assert.match(stderr, /No such device/);
    assert.equal(printed.length, 2);
    assert.match(printed[0] ?? '', /^foo0 {2}qidx 0 /);
    assert.doesNotMatch(printed[0] ?? '', /\/s/, 'there is no rate without a previous sample');
    assert.match(printed[1] ?? '', /0\.0\/s/);
    assert.ok(!printed.join('').includes('\x1b'));
  });

  test('in JSON are one document each', async () => {
    const { printed } = await watch('-j -w dev stats show foo0');
    const documents = printed
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seconds: number; counters: unknown[] });
    const [first] = documents;
    assert.ok(first);
    assert.equal(first.seconds, 0);
    assert.ok(first.counters.length > 0);
  });

  test('on a terminal replace each other and fit its size', async () => {
    const { printed } = await watch('-w dev stats show foo0', {
      env: { TERM: 'xterm', LANG: 'C.UTF-8' },
      isTerminal: () => true,
      terminalSize: () => ({ columns: 30, rows: 3 }),
    });
    for (const screen of printed) {
      assert.ok(screen.startsWith('\x1b[H\x1b[J'));
      const lines = screen.slice('\x1b[H\x1b[J'.length).trimEnd().split('\n');
      assert.equal(lines.length, 2);
      assert.match(lines[1] ?? '', /^… \d+ more$/);
    }
  });
});
