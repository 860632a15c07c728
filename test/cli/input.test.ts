/** Files and standard input that are read as a whole, as people and editors write them. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ioctl } from '../../src/sys/ioctl.js';
import { lines, vdpa, type Outcome } from '../support/command-line.js';

const program = fileURLToPath(new URL('../../../bin/vdpa.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vdpa-input-'));
const env = { PATH: process.env['PATH'], VDPA_SIM_STATE: join(folder, 'sim.json') };
const file = join(folder, 'state.json');
const state = (name: string): string => `{ "version": 1, "devices": [{ "mgmtdev": "vdpasim_net", "name": ${name} }] }`;

const sim = (line: string): Promise<Outcome> => vdpa(`--sim ${line}`, { env });
beforeEach(() => sim('sim reset'));
after(() => {
  rmSync(folder, { recursive: true });
});

test('errors quote the beginning of an endless word, and file names as they are', async () => {
  const word = 'x'.repeat(5000);
  const device = { name: 'foo0', mgmtdev: 'vdpasim_net' };
  const vduse = { name: 'foo1', mgmtdev: 'vduse' };
  const devices = [
    { ...device, mgmtdev: word },
    { ...device, mgmtdev: `pci/${word}` },
    { ...device, device_features: [word] },
    { ...device, [word]: 1 },
    { ...vduse, server: { [word]: 1 } },
    { ...vduse, server: { serial: word } },
    { ...vduse, server: { size: word } },
  ];
  const place = join(folder, 'y'.repeat(200), 'y'.repeat(200));
  mkdirSync(place, { recursive: true });
  const path = join(place, 'state.json');
  for (const text of devices.map((each) => JSON.stringify({ version: 1, devices: [each] }))) {
    writeFileSync(path, text);
    const { status, stderr } = await sim(`apply ${path}`);
    assert.equal(status, 1, text.slice(0, 80));
    assert.ok(stderr.startsWith(`${path}: line 1 (/devices/0`), stderr);
    const reason = stderr.slice(path.length);
    assert.match(reason, /x{60}…/);
    assert.ok(reason.length < 300, reason);
  }
});

test('a byte-order mark is skipped: in a state file, a machine and a batch', async () => {
  const written: Record<string, string> = {
    'apply FILE': state('"foo0"'),
    'sim init FILE': '{ "mgmtdev": { "vdpasim_net": {} } }',
    '-b FILE': 'dev show\n',
  };
  for (const [line, text] of Object.entries(written)) {
    writeFileSync(file, `\ufeff${text}`);
    const { status, stderr } = await sim(line.replace('FILE', file));
    assert.deepEqual([status, stderr], [0, ''], line);
  }
});

test("a byte-order mark is skipped in the simulation's own state file", async () => {
  await sim('dev add mgmtdev vdpasim_net name foo0');
  writeFileSync(env.VDPA_SIM_STATE, `\ufeff${readFileSync(env.VDPA_SIM_STATE, 'utf8')}`);
  assert.match((await sim('dev show')).stdout, /^foo0: /);
});

test('bytes that are not UTF-8 are preserved', async () => {
  writeFileSync(file, Buffer.from(state('"a\xffb"'), 'latin1'));
  assert.equal((await sim(`apply ${file}`)).status, 0);
  assert.match((await sim('dev show')).stdout, /^a\udcffb: /);
});

const refused: Record<string, readonly [string | Buffer, string]> = {
  'a lone surrogate': [state('"\\ud800"'), 'FILE: line 1, column 65: the string contains a lone surrogate\n'],
  'a very long string': [
    state(`"${'a'.repeat(9_000_000)}"`),
    'FILE: line 1, column 65: the string is longer than 65530 bytes\n',
  ],
  'a very long string of escapes': [
    state(`"${'\\n'.repeat(4_000_000)}"`),
    'FILE: line 1, column 65: the string is longer than 65530 bytes\n',
  ],
  'a name that fits no message': [
    state(`"${'é'.repeat(32_766)}"`),
    'FILE: line 1, column 65: the string is longer than 65530 bytes\n',
  ],
  'a very long word': [state('x'.repeat(5_000_000)), `FILE: line 1, column 65: invalid value "${'x'.repeat(60)}…"\n`],
  'UTF-16': [
    Buffer.from(`\ufeff${state('"foo0"')}`, 'utf16le'),
    'Cannot read file "FILE": the text is UTF-16; convert it to UTF-8\n',
  ],
  'an endless file': [' '.repeat(2 ** 24 + 1), 'Cannot read file "FILE": larger than 16 MiB\n'],
};
for (const [what, [content, complaint]] of Object.entries(refused)) {
  test(`${what}: a clear error, no stack, and nothing is changed`, async () => {
    writeFileSync(file, content);
    const { status, stdout, stderr } = await sim(`apply ${file}`);
    assert.deepEqual([status, stdout, stderr], [1, '', complaint.replace('FILE', file)]);
    assert.equal((await sim('dev show')).stdout, '');
  });
}

test('a lone surrogate is an error in a state file and in a description', async () => {
  await sim('dev add mgmtdev vdpasim_net name foo0');
  writeFileSync(env.VDPA_SIM_STATE, readFileSync(env.VDPA_SIM_STATE, 'utf8').replaceAll('foo0', '\\udfff'));
  assert.match((await sim('dev show')).stderr, /is damaged: invalid JSON: a string contains a lone surrogate/);
  writeFileSync(file, '{ "mgmtdev": { "\\ud800": {} } }');
  assert.match((await sim(`sim init ${file}`)).stderr, /is not a valid machine description: .* lone surrogate/);
  assert.equal((await sim('sim init')).status, 0);
});

/** ioctl(2) of pipes: how many bytes nobody has read yet. */
const FIONREAD = 0x541b;

function bytesIn(pipe: number): number {
  const count = new Int32Array(1);
  ioctl('count the bytes in a pipe', pipe, FIONREAD, new Uint8Array(count.buffer));
  return count[0] ?? 0;
}

for (const [line, text, shown] of [
  ['apply -', state('"foo0"'), lines('+ foo0 mgmtdev vdpasim_net', '1 change made.')],
  ['sim init -', '{ "mgmtdev": { "vdpasim_net": {} } }', ''],
  ['-b -', 'dev show\n', ''],
] as const) {
  test(`${line}: standard input that does not block is waited for`, async () => {
    const fifo = join(folder, 'fifo');
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(fifo, constants.O_WRONLY);
    // Node makes the first three descriptors blocking.
    const child = spawn('bash', ['--norc', '-c', `"$0" "$1" --sim ${line} <&3`, process.execPath, program], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', reader],
    });
    closeSync(reader);
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
    const half = text.length >> 1;
    writeSync(writer, text.slice(0, half));
    while (bytesIn(writer) > 0) await sleep(1);
    writeSync(writer, text.slice(half));
    closeSync(writer);
    const [status] = (await once(child, 'close')) as [number];
    rmSync(fifo);
    assert.deepEqual([status, stderr, stdout], [0, '', shown]);
  });
}
