import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, afterEach, test } from 'node:test';
import { SimulationError } from '../../src/sim/error.js';
import { runSimulated, type SimulatedRun } from '../../src/sim/run.js';
import { defaultMachine } from '../../src/sim/state/default-machine.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-run-'));
const before = process.env['TMPDIR'];
beforeEach(() => {
  process.env['TMPDIR'] = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
});
after(() => {
  rmSync(folder, { recursive: true });
});

const failures: string[] = [];

function run(command: string, args: readonly string[], more: Partial<SimulatedRun> = {}): Promise<number> {
  return runSimulated({
    machine: defaultMachine,
    command,
    args,
    environment: process.env,
    onFailure: (message) => failures.push(message),
    ...more,
  });
}

test('the exit status is that of a shell, and nothing is left', async () => {
  const shell = (line: string): Promise<number> => run('sh', ['-c', line]);
  assert.equal(await shell('test -n "$VDPA_SIM_STATE" && test -x "$(command -v vdpa)"'), 0);
  assert.equal(await shell('exit 3'), 3);
  assert.equal(await shell('kill -TERM $$'), 128 + 15);
  assert.deepEqual(readdirSync(folder), []);
});

test('a command that does not exist is 127, one that is not executable 126', async () => {
  assert.equal(await run('/nonexistent', []), 127);
  const text = join(folder, 'text');
  writeFileSync(text, '');
  assert.equal(await run(text, []), 126);
  rmSync(text);
  assert.deepEqual(failures, ['/nonexistent: No such file or directory', `${text}: Permission denied`]);
});

test('a signal to this process reaches the command', async () => {
  const status = run('sh', ['-c', 'trap "exit 5" HUP; kill -HUP $PPID; while :; do sleep 0.05; done']);
  assert.equal(await status, 5);
});

test('a record ends with the status and the devices that are left', async () => {
  const record = join(folder, 'record.jsonl');
  assert.equal(await run('true', [], { record }), 0);
  const end = JSON.parse(readFileSync(record, 'utf8')) as Record<string, unknown>;
  assert.deepEqual([end['type'], end['status'], end['devices']], ['end', 0, []]);
  assert.ok(Array.isArray(end['vduse']));
  rmSync(record);
});

test('a folder for temporary files that is missing is an error', async () => {
  process.env['TMPDIR'] = join(folder, 'missing');
  await assert.rejects(run('true', []), SimulationError);
});
