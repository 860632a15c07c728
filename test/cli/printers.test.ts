import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions } from '../../src/cli/options.js';
import { choosePaint } from '../../src/cli/printers.js';

/** Whether a line would be in color. */
async function isColored(line: string, env: NodeJS.ProcessEnv, terminal: boolean): Promise<boolean> {
  const parsed = parseOptions(line.split(' '), env);
  assert.ok(parsed.kind === 'command');
  const io = { env, stdout: () => undefined, stderr: () => undefined, isTerminal: () => terminal };
  return (await choosePaint(parsed.options, io)) !== undefined;
}

test('colors are used on request, with auto on a terminal, and NO_COLOR disables them', async () => {
  assert.equal(await isColored('dev', {}, true), false);
  assert.equal(await isColored('-c dev', {}, false), true);
  assert.equal(await isColored('-c=never dev', {}, true), false);
  assert.equal(await isColored('-c=auto dev', {}, true), true);
  assert.equal(await isColored('-c=auto dev', {}, false), false);
  assert.equal(await isColored('-c dev', { NO_COLOR: '1' }, true), false);
  assert.equal(await isColored('-c=auto dev', { NO_COLOR: '1' }, true), false);
  assert.equal(await isColored('-c=always dev', { NO_COLOR: '1' }, true), true);
  assert.equal(await isColored('-c dev', { NO_COLOR: '' }, true), true);
});
