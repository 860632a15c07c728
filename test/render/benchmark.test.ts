import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram } from '../../src/benchmark/latency.js';
import type { Load } from '../../src/benchmark/load.js';
import type { OperationName } from '../../src/benchmark/measurement.js';
import type { BenchReport, BenchResult, Comparison } from '../../src/benchmark/run.js';
import * as render from '../../src/render/benchmark.js';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import { checkOutput } from '../support/output-schemas.js';

const common = { depth: 32, queues: 1, queueSize: 256, features: 0n };
const disk: Load = {
  ...{ ...common, type: 'block', pattern: 'randrw', blockSize: 4096, blocks: 10 },
  ...{ segmentBytes: 4096, indirect: false },
};
const network: Load = { ...common, type: 'net', blockSize: 64, mac: new Uint8Array(6) };

/** A result with latencies from 10 to 1000 microseconds. */
function result(name: string, load: Load, operations: readonly OperationName[], lost = 0): BenchResult {
  const totals = operations.map((operation, index) => {
    const latency = new LatencyHistogram();
    const requests = index === 0 ? 100 : 0;
    for (let count = 1; count <= requests; count++) latency.record(count / 100);
    return { name: operation, requests: requests * 1000, bytes: requests * 1000 * load.blockSize, latency };
  });
  return { name, load, measurement: { operations: totals, seconds: 2, busy: 0.256, lost } };
}

const comparison: Comparison = {
  rounds: 10,
  ratios: [
    { operation: 'read', figure: 'requests_per_second', median: 1.25, lowest: 1.1, highest: 1.31234 },
    { operation: 'read', figure: 'p99', median: 0.5, lowest: 0.25, highest: 0.75 },
  ],
};

function json(report: BenchReport): unknown {
  let text = '';
  const printer = new JsonPrinter(
    new Output((part) => {
      text += part;
    }),
  );
  render.renderBench(printer, report);
  printer.finish();
  checkOutput('dev-bench', text);
  return JSON.parse(text);
}

test('text: the load, rates and latencies', () => {
  assert.equal(
    render.formatBench({ results: [result('blk0', disk, ['read', 'write'])] }),
    `blk0: rw randrw bs 4096 depth 32 queues 1, 2.0 s, driver busy 26 %
  read  50000 requests/s  205 MB/s
    latency  mean 505 us  min 10.0 us  p50 500 us  p90 900 us  p99 990 us  p99.9 1.00 ms  p99.99 1.00 ms  max 1.00 ms
  write  0.0 requests/s  0 B/s
`,
  );
  const net = render.formatBench({ results: [result('net0', network, ['loop'], 7)] });
  assert.match(net, /^net0: net bs 64 depth 32 queues 1, 2\.0 s, driver busy 26 %, 7 packets lost\n/);
  assert.match(net, /^ {2}loop {2}50000 packets\/s {2}3\.20 MB\/s$/m);
});

test('text: ratios with their spread', () => {
  const results = [result('a', disk, ['read']), result('b', disk, ['read'])];
  const text = render.formatBench({ results, comparison });
  assert.match(text, /^a: .*\n {2}read .*\n {4}latency .*\nb: /);
  assert.ok(
    text.endsWith(`
a/b: median of 10 rounds (lowest to highest)
  read  requests/s  1.250 (1.100 to 1.312)
  read  p99 of the latency  0.500 (0.250 to 0.750)
`),
    text,
  );
});

test('JSON: ratios are with the first device', () => {
  const results = [result('a', disk, ['read']), result('b', disk, ['read'])];
  const { bench } = json({ results, comparison }) as { bench: Record<'a' | 'b', { against?: unknown }> };
  assert.deepEqual(bench.a.against, {
    device: 'b',
    rounds: 10,
    ratios: [
      { operation: 'read', figure: 'requests_per_second', median: 1.25, lowest: 1.1, highest: 1.3123 },
      { operation: 'read', figure: 'p99', median: 0.5, lowest: 0.25, highest: 0.75 },
    ],
  });
  assert.equal(bench.b.against, undefined);
});

test('JSON has its schema, and the same content', () => {
  const { bench } = json({ results: [result('blk0', disk, ['read', 'write'])] }) as {
    bench: { blk0: Record<string, unknown> };
  };
  const { operations, ...rest } = bench.blk0;
  assert.deepEqual(rest, {
    ...{ type: 'block', rw: 'randrw', bs: 4096, depth: 32, queues: 1 },
    ...{ seconds: 2, driver_busy: 0.256, lost: 0 },
  });
  const [read, write] = operations as Record<string, unknown>[];
  assert.deepEqual([read?.['requests_per_second'], read?.['bytes_per_second']], [50_000, 204_800_000]);
  assert.deepEqual(Object.keys(read?.['latency_ns'] ?? {}), [
    ...['mean', 'deviation', 'min', 'max', 'p50', 'p90', 'p99', 'p99.9', 'p99.99'],
  ]);
  assert.equal(write?.['requests'], 0);
});

test('numbers with three digits and their unit', () => {
  const times = [0, 999, 1000, 9994, 9996, 99_949, 999_400, 999_600, 1.5e9, 3600e9];
  assert.deepEqual(times.map(render.formatTime), [
    ...['0 ns', '999 ns', '1.00 us', '9.99 us', '10.0 us', '99.9 us', '999 us', '1.00 ms', '1.50 s', '3600 s'],
  ]);
  assert.deepEqual([12, 99.94, 100, 123_456.7].map(render.formatRate), ['12.0', '99.9', '100', '123457']);
  assert.equal(render.formatBytes(1.5e12), '1.50 TB');
});
