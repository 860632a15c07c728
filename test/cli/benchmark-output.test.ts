import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram } from '../../src/benchmark/latency.js';
import type { BenchReport } from '../../src/benchmark/run.js';
import { benchReporter } from '../../src/cli/benchmark-output.js';
import type { Io } from '../../src/cli/io.js';
import { parseOptions } from '../../src/cli/options.js';
import { choosePrinter } from '../../src/cli/printers.js';
import { outputOf, Session } from '../../src/cli/session.js';
import { checkOutput } from '../support/output-schemas.js';

const latency = new LatencyHistogram();
latency.record(0.1);
const report: BenchReport = {
  results: [
    {
      name: 'net0',
      load: { type: 'net', blockSize: 64, depth: 8, queues: 1, queueSize: 256, features: 0n, mac: new Uint8Array(6) },
      measurement: {
        operations: [{ name: 'loop', requests: 1000, bytes: 64_000, latency }],
        seconds: 1,
        busy: 0.25,
        lost: 0,
      },
    },
  ],
};

/** What is printed with these options: while it is measured, and in all. */
async function printed(option: string, terminal: Partial<Io> = {}) {
  let stdout = '';
  const io: Io = { env: {}, stdout: (text) => void (stdout += text), stderr: () => undefined, ...terminal };
  const line = parseOptions([...(option === '' ? [] : option.split(' ')), 'dev', 'bench'], {});
  assert.ok(line.kind === 'command');
  const session = new Session(line.options, io, undefined, await choosePrinter(line.options, io, outputOf(io)));
  const { progress, end } = await benchReporter(session);
  progress.onProgress?.('net0', { total: 2, seconds: 0.5, requests: 400 });
  const before = stdout;
  end(report);
  session.end();
  return { before, stdout };
}

const terminal = { env: { TERM: 'xterm' }, isTerminal: () => true };

test('on a terminal, a line shows the rate, and results replace it', async () => {
  const { before, stdout } = await printed('', terminal);
  assert.equal(before, '\x1b[2K\rnet0: 0.5 s, 800/s');
  assert.ok(stdout.startsWith(`${before}\x1b[2K\rnet0: net bs 64 depth 8 queues 1, 1.0 s, driver busy 25 %\n`));
});

test('elsewhere, and on a terminal without escape sequences, nothing is printed meanwhile', async () => {
  for (const io of [{}, { env: { TERM: 'dumb' }, isTerminal: () => true }]) {
    const { before, stdout } = await printed('', io);
    assert.equal(before, '');
    assert.match(stdout, /^net0: .*\n {2}loop {2}1000 packets\/s {2}64\.0 kB\/s\n/);
  }
});

test('other formats print all at the end, on a terminal too', async () => {
  for (const [option, begin] of [
    ['-j', '{"bench":{"net0":{'],
    ['-o openmetrics', '# HELP vdpa_bench_info '],
    ['-o svg', '<?xml '],
  ] as const) {
    const { before, stdout } = await printed(option, terminal);
    assert.equal(before, '');
    assert.ok(stdout.startsWith(begin), stdout);
  }
  checkOutput('dev-bench', (await printed('-j')).stdout);
});
