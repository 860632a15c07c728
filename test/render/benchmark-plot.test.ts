import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram } from '../../src/benchmark/latency.js';
import type { OperationName } from '../../src/benchmark/measurement.js';
import type { BenchResult } from '../../src/benchmark/run.js';
import { formatBenchMetrics } from '../../src/render/benchmark-metrics.js';
import { formatPlot } from '../../src/render/benchmark-plot.js';

/** A disk with these requests in a second, of which each takes so many microseconds. */
function result(
  name: string,
  depth: number,
  requests: number,
  microseconds: number,
  operation: OperationName = 'read',
) {
  const latency = new LatencyHistogram();
  for (let count = 0; count < Math.min(requests, 1000); count++) latency.record(microseconds / 1000);
  const load: BenchResult['load'] = {
    ...{ type: 'block', pattern: 'randread', blockSize: 4096, depth, queues: 1, queueSize: 256 },
    ...{ features: 0n, blocks: 10, segmentBytes: 4096, indirect: false },
  };
  const operations = [{ name: operation, requests, bytes: requests * 4096, latency }];
  return { name, load, measurement: { operations, seconds: 1, busy: 0.5, lost: 0 } } satisfies BenchResult;
}

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

test('a picture has a curve for each device and percentile, and a point for each depth', () => {
  const svg = formatPlot({
    results: [
      ...[result('a', 1, 9000, 100), result('b', 1, 8000, 120)],
      ...[result('a', 2, 17_000, 110), result('b', 2, 16_000, 1200)],
    ],
  });
  assert.equal(count(svg, /<polyline /g), 6);
  assert.equal(count(svg, /<circle /g), 12);
  for (const label of ['a read p50', 'b read p99', 'b read p99.9']) assert.match(svg, new RegExp(`>${label}</text>`));
  assert.equal(count(svg, />1<\/text>/g), 2, 'the depths are beside the points of the medians');
  assert.match(svg, /<title>a, b: latency against load, rw randread bs 4096 queues 1<\/title>/);
  // The scales: rates from 0, latencies by decades.
  for (const tick of ['>0<', '>15000<', '>100 us<', '>10.0 ms<']) assert.ok(svg.includes(tick), tick);
});

test('points are where their values are', () => {
  const svg = formatPlot({ results: [result('a', 1, 10_000, 100), result('a', 2, 20_000, 1000)] });
  const [, places = ''] = /<polyline points="([^"]*)"/.exec(svg) ?? [];
  const [[firstX, firstY] = [], [secondX, secondY] = []] = places
    .split(' ')
    .map((point) => point.split(',').map(Number));
  const width = 780;
  assert.deepEqual([firstX, secondX], [90 + width / 2, 90 + width]);
  assert.ok((firstY ?? 0) > (secondY ?? 0), 'a higher latency is higher');
});

test('names are escaped, and a result without points has no curve', () => {
  const svg = formatPlot({ results: [result('a<b', 1, 0, 0)] });
  assert.match(svg, /<title>a&lt;b: /);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  assert.doesNotMatch(formatPlot({ results: [] }), /NaN|Infinity|undefined/);
});

test('metrics: rates, and latencies as a summary in seconds', () => {
  const text = formatBenchMetrics({
    results: [result('a', 4, 1000, 100), result('b"', 4, 0, 0, 'write')],
    comparison: {
      rounds: 10,
      ratios: [{ operation: 'read', figure: 'p99', median: 1.5, lowest: 1, highest: 2 }],
    },
  });
  const lines = text.split('\n');
  for (const line of [
    'vdpa_bench_info{dev="a",type="block",rw="randread",bs="4096",depth="4",queues="1"} 1',
    '# TYPE vdpa_bench_requests_per_second gauge',
    'vdpa_bench_requests_per_second{dev="a",operation="read"} 1000',
    'vdpa_bench_bytes_per_second{dev="a",operation="read"} 4096000',
    'vdpa_bench_driver_busy_ratio{dev="a"} 0.5',
    'vdpa_bench_lost_packets{dev="a"} 0',
    '# TYPE vdpa_bench_latency_seconds summary',
    'vdpa_bench_latency_seconds_count{dev="a",operation="read"} 1000',
    'vdpa_bench_latency_seconds_count{dev="b\\"",operation="write"} 0',
    'vdpa_bench_ratio{dev="a",against="b\\"",operation="read",figure="p99",statistic="median"} 1.5',
  ]) {
    assert.ok(lines.includes(line), line);
  }
  const quantiles = lines.flatMap((line) => /quantile="([^"]*)"\} (.*)/.exec(line)?.slice(1) ?? []);
  assert.deepEqual(
    quantiles.filter((_, index) => index % 2 === 0),
    ['0.5', '0.9', '0.99', '0.999', '0.9999'],
  );
  assert.ok(Math.abs(Number(quantiles[1]) - 1e-4) < 1e-7);
  assert.ok(text.endsWith('\n# EOF\n'));
  // Samples of a metric are together, behind its type.
  const types = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  assert.deepEqual([...new Set(types)], types);
});
