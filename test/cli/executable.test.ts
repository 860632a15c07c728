// The built program as a process: its streams, its exit status, what it loads.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { versionLine } from '../../src/cli/run-line.js';
import { program, programEnv } from '../support/simulating-program.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-executable-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const env = { ...programEnv, VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };

/** Runs a line of bash, in which `vdpa` is the program, on the simulation. */
function bash(line: string, input = ''): { status: number | null; stdout: string; stderr: string } {
  const script = `set -o pipefail; vdpa() { "${process.execPath}" "${program}" "$@"; }; ${line}`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
    env,
    input,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

test('it starts, and prints its version', () => {
  const { status, stdout, stderr } = spawnSync(program, ['-V'], { env, encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, `${versionLine}\n`, '']);
});

test('a closed pipe ends it as SIGPIPE would, silently', () => {
  const shows = Array.from({ length: 3000 }, () => 'mgmtdev show\n').join('');
  const many = bash('vdpa -b - | head -n 1', shows);
  assert.deepEqual(many, { status: 141, stdout: 'vdpasim_net: \n', stderr: '' });
  assert.deepEqual(bash('vdpa -fjb - | :', shows), { status: 141, stdout: '', stderr: '' });
});

test('a full disk is reported as an error', () => {
  for (const line of ['-V', 'mgmtdev show', '-j dev show']) {
    const said = 'vdpa: write to standard output: No space left on device (ENOSPC)\n';
    assert.deepEqual(bash(`vdpa ${line} > /dev/full`), { status: 1, stdout: '', stderr: said }, line);
  }
});

test('a full disk ends a batch at the line whose output could not be written', () => {
  const said = 'vdpa: write to standard output: No space left on device (ENOSPC)\nCommand failed -:2\n';
  assert.deepEqual(bash('vdpa -b - > /dev/full', '# shown\nmgmtdev show\nmgmtdev show\n'), {
    status: 1,
    stdout: '',
    stderr: said,
  });
});

test('a list larger than the buffer of a pipe ends as a short one does if the pipe is closed or the disk is full', () => {
  const count = 3000;
  const adds = Array.from({ length: count }, (_, index) => `dev add name d${index} mgmtdev vdpasim_net\n`).join('');
  const first = 'd0: type network mgmtdev vdpasim_net vendor_id 0 max_vqs 3 max_vq_size 256\n';
  const said = 'vdpa: write to standard output: No space left on device (ENOSPC)\n';
  const show = `VDPA_SIM_STATE=${join(folder, 'long.json')} vdpa`;
  assert.deepEqual(bash(`${show} -b -`, adds), { status: 0, stdout: '', stderr: '' });
  assert.deepEqual(bash(`${show} dev show | wc -l`), { status: 0, stdout: `${count}\n`, stderr: '' });
  assert.deepEqual(bash(`${show} dev show | head -n 1`), { status: 141, stdout: first, stderr: '' });
  assert.deepEqual(bash(`${show} -j dev show | :`), { status: 141, stdout: '', stderr: '' });
  assert.deepEqual(bash(`${show} dev show > /dev/full`), { status: 1, stdout: '', stderr: said });
  assert.deepEqual(bash(`${show} dev show >&-`), { status: 0, stdout: '', stderr: '' });
});

test('without standard output, input or error streams it still works', () => {
  assert.deepEqual(bash('vdpa mgmtdev show >&-'), { status: 0, stdout: '', stderr: '' });
  assert.deepEqual(bash('vdpa dev show nothing 2>&-'), { status: 1, stdout: '', stderr: '' });
  assert.deepEqual(bash('vdpa dev show nothing >&- 2>&- <&-'), { status: 1, stdout: '', stderr: '' });
  assert.deepEqual(bash('vdpa dev show nothing 2> /dev/full'), { status: 1, stdout: '', stderr: '' });
});

test('a batch from standard input answers each line before it reads the next', async () => {
  const child = spawn(process.execPath, [program, '-j', '-b', '-'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = child.stdout.setEncoding('utf8').iterator() as AsyncIterator<string>;
  const ask = async (line: string): Promise<string> => {
    child.stdin.write(`${line}\n`);
    return (await answers.next()).value as string;
  };
  assert.equal(await ask('dev show'), '{"dev":{}}\n');
  assert.equal(await ask('dev add name asked mgmtdev vdpasim_net'), '{}\n');
  assert.match(await ask('dev show asked'), /^\{"dev":\{"asked":\{.*\}\}\}\n$/);
  assert.equal(await ask('dev del asked'), '{}\n');
  child.stdin.end();
  const [status] = (await once(child, 'exit')) as [number | null];
  assert.equal(status, 0);
});

test('a megabyte of output passes through a slow pipe completely', () => {
  const shows = Array.from({ length: 3000 }, () => 'mgmtdev show\n').join('');
  const { status, stdout } = bash('vdpa -b - | { sleep 0.3; cat; }', shows);
  assert.equal(status, 0);
  assert.equal(stdout, bash('vdpa mgmtdev show').stdout.repeat(3000));
});
