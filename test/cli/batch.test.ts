import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Io } from '../../src/cli/io.js';
import { versionLine } from '../../src/cli/run-line.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { bootState, bareMachine } from '../../src/sim/state/model.js';
import { SimulatedTransport } from '../../src/sim/transport.js';
import { lines, vdpa, type Outcome } from '../support/command-line.js';
import { MemoryStore } from '../../src/sim/state/store.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-batch-'));
after(() => {
  rmSync(folder, { recursive: true });
});

/** A batch file with these lines. */
function batchFile(...content: string[]): string {
  const path = join(folder, 'commands');
  writeFileSync(path, lines(...content));
  return path;
}

/** A simulated machine that counts the sockets opened on it. */
function machine(): { io: Partial<Io>; sockets: () => number } {
  const kernel = new SimulatedKernel(new MemoryStore(bootState(bareMachine)));
  let sockets = 0;
  const openTransport = (): SimulatedTransport => {
    sockets++;
    return new SimulatedTransport(kernel);
  };
  return { io: { openTransport }, sockets: () => sockets };
}

function batch(options: readonly string[], ...content: string[]): Promise<Outcome> {
  return vdpa([...options, '-b', batchFile(...content)], machine().io);
}

const failedAt = (number: number): string => `Command failed ${join(folder, 'commands')}:${number}`;

test('a batch runs all its lines on one socket', async () => {
  const { io, sockets } = machine();
  const file = batchFile(
    '# two devices',
    'dev add name a mgmtdev vdpasim_net',
    '',
    `dev add name 'b' \\`,
    '  mgmtdev "vdpasim_net" # the second',
    'dev show',
    'dev del a',
    'd s b',
  );
  const { status, stdout, stderr } = await vdpa(['-batch', file], io);
  const shown = (name: string): string =>
    `${name}: type network mgmtdev vdpasim_net vendor_id 0 max_vqs 3 max_vq_size 256`;
  assert.deepEqual([status, stdout, stderr], [0, lines(shown('a'), shown('b'), shown('b')), '']);
  assert.equal(sockets(), 1);
});

test('the first line that fails ends a batch, and its number is reported', async () => {
  const outcome = await batch([], 'dev del none', 'dev show none');
  const said = lines('Error: vdpa: device not found.', 'kernel answers: No such device', failedAt(1));
  assert.deepEqual(outcome, { status: 1, stdout: '', stderr: said });
});

test('a continued line is reported by the number of its last line', async () => {
  const { stderr } = await batch([], 'mgmtdev show vduse', 'junk \\', '  more', 'dev');
  assert.equal(stderr, lines('Object "junk" not found', failedAt(3)));
});

test('with force a batch continues to its end, and still fails', async () => {
  for (const force of ['-f', '-force', '--force']) {
    const { status, stdout, stderr } = await batch([force], 'junk', 'dev show "x', 'mgmtdev show vduse', 'dev -k');
    assert.equal(status, 1);
    assert.match(stdout, /^vduse: /);
    const start = lines('Object "junk" not found', failedAt(1), 'Unterminated quoted string', failedAt(2));
    assert.ok(stderr.startsWith(`${start}vdpa: invalid option -- 'k'\n`), stderr);
    assert.ok(stderr.endsWith(lines(failedAt(4))), stderr);
  }
});

test('with -j each line prints one document, whether it succeeds or fails', async () => {
  const content = ['dev add name a mgmtdev vdpasim_net', 'dev show', 'dev show none', 'dev del a', 'dev show'];
  const { status, stdout } = await batch(['-jf'], ...content);
  assert.equal(status, 1);
  const device = { type: 'network', mgmtdev: 'vdpasim_net', vendor_id: 0, max_vqs: 3, max_vq_size: 256 };
  const documents = [{}, { dev: { a: device } }, { dev: {} }, {}, { dev: {} }];
  assert.equal(stdout, lines(...documents.map((document) => JSON.stringify(document))));
});

test('a line may have its own options', async () => {
  const { status, stdout, stderr } = await batch([], 'dev show -j', 'dev show', '-jp dev show', '-V', 'dev show -j');
  assert.deepEqual([status, stderr], [0, '']);
  const pretty = lines('{', '    "dev": {}', '}');
  assert.equal(stdout, lines('{"dev":{}}') + pretty + lines(versionLine, '{"dev":{}}'));
});

test('options of the whole batch are rejected in a line', async () => {
  for (const line of ['dev show --sim', '--trace dev show']) {
    const { status, stderr } = await batch([], line);
    const said = '--sim and --trace apply to the whole batch: give them on the command line';
    assert.deepEqual([status, stderr], [1, lines(said, failedAt(1))]);
  }
  const { status, stderr } = await batch([], '-b other');
  assert.deepEqual([status, stderr], [1, lines('Nested batches are not supported', failedAt(1))]);
});

test('a batch with a command is rejected, and so is one without a file', async () => {
  const beside = await vdpa(['-b', batchFile('dev show'), 'dev', 'show'], machine().io);
  assert.equal(beside.status, 1);
  assert.equal(beside.stderr, '-b reads its commands from a file: unexpected argument "dev show"\n');
  const without = await vdpa(['dev', 'show', '-b']);
  assert.equal(without.status, 1);
  assert.match(without.stderr, /^vdpa: option requires an argument -- 'b'\n/);
});

test('a file that cannot be read is an error', async () => {
  const missing = await vdpa(['-b', join(folder, 'missing')]);
  const said = `Cannot open file "${join(folder, 'missing')}" for reading: No such file or directory\n`;
  assert.deepEqual(missing, { status: 1, stdout: '', stderr: said });
  const directory = await vdpa(['-b', folder]);
  assert.deepEqual(directory, { status: 1, stdout: '', stderr: `Cannot read file "${folder}": Is a directory\n` });
});

test('a file that ends within a command fails, and the command is not run', async () => {
  const { status, stdout, stderr } = await batch([], 'mgmtdev show vduse -j', 'dev show \\');
  assert.deepEqual([status, stderr], [1, 'Missing continuation line\n']);
  assert.match(stdout, /^\{"mgmtdev":\{"vduse":.*\n$/);
});
