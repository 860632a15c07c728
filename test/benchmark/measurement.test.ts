import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareRounds } from '../../src/benchmark/compare.js';
import { LatencyHistogram } from '../../src/benchmark/latency.js';
import { sum, type Measurement } from '../../src/benchmark/measurement.js';
import { Meter } from '../../src/benchmark/meter.js';

/** A measurement of reads with latencies in milliseconds. */
function reads(latencies: readonly number[], { seconds = 1, busy = 0.5, lost = 0 } = {}): Measurement {
  const latency = new LatencyHistogram();
  for (const milliseconds of latencies) latency.record(milliseconds);
  const requests = latencies.length;
  return { operations: [{ name: 'read', requests, bytes: requests * 512, latency }], seconds, busy, lost };
}

/** Within the three significant digits of a histogram. */
function near(value: number, expected: number): void {
  assert.ok(Math.abs(value - expected) <= expected / 1000, `${value} is not ${expected}`);
}

test('a histogram: percentiles in nanoseconds, with three digits', () => {
  const latency = new LatencyHistogram();
  for (let microseconds = 1; microseconds <= 10_000; microseconds++) latency.record(microseconds / 1000);
  const { count, mean, min, max, percentiles } = latency.summary();
  assert.equal(count, 10_000);
  near(mean, 5_000_500);
  near(min, 1000);
  near(max, 10_000_000);
  near(percentiles.p50, 5_000_000);
  near(percentiles.p90, 9_000_000);
  near(percentiles.p99, 9_900_000);
  near(percentiles['p99.9'], 9_990_000);
  near(percentiles['p99.99'], 9_999_000);
});

test('a histogram: nothing, less than nothing, and very long', () => {
  const empty = new LatencyHistogram().summary();
  assert.deepEqual([empty.count, empty.mean, empty.min, empty.max, empty.percentiles.p50], [0, 0, 0, 0, 0]);
  const extreme = new LatencyHistogram();
  extreme.record(-1);
  extreme.record(1e9);
  const { count, min, max } = extreme.summary();
  assert.equal(count, 2);
  assert.equal(min, 1);
  near(max, 3600e9);
});

test('the sum of rounds', () => {
  const total = sum([reads([1, 2], { seconds: 1, busy: 0.2 }), reads([3], { seconds: 3, busy: 0.6, lost: 4 })]);
  const [read] = total.operations;
  assert.deepEqual([read?.requests, read?.bytes, total.seconds, total.lost], [3, 1536, 4, 4]);
  near(total.busy, 0.5);
  near(read?.latency.summary().mean ?? 0, 2_000_000);
  assert.deepEqual(sum([]), { operations: [], seconds: 0, busy: 0, lost: 0 });
});

test('ratios of rounds: the median, the lowest and the highest', () => {
  const one = [reads([2, 2]), reads([2, 2, 2]), reads([2, 2, 2, 2, 2, 2])];
  const other = [reads([1, 1]), reads([4, 4]), reads([1, 1])];
  const [rate, p50, p99] = compareRounds(one, other);
  assert.deepEqual([rate?.figure, rate?.median, rate?.lowest, rate?.highest], ['requests_per_second', 1.5, 1, 3]);
  assert.equal(p50?.figure, 'p50');
  near(p50.median, 2);
  near(p50.lowest, 0.5);
  near(p50.highest, 2);
  assert.equal(p99?.figure, 'p99');
  const even = compareRounds([reads([1]), reads([1, 1])], [reads([1]), reads([1])]);
  assert.equal(even[0]?.median, 1.5);
});

test('a ratio to zero is left out', () => {
  assert.deepEqual(compareRounds([reads([1])], [reads([])]), []);
  assert.deepEqual(compareRounds([], []), []);
});

test('the clock of a meter stops in a pause; the driver is busy while it has a processor', async (t) => {
  let now = 0;
  let used = { user: 0, system: 0 };
  t.mock.method(performance, 'now', () => now);
  t.mock.method(process, 'cpuUsage', (since = { user: 0, system: 0 }) => ({
    user: used.user - since.user,
    system: used.system - since.system,
  }));
  const meter = new Meter(['read', 'write'], 4096);
  used = { user: 1e6, system: 1e6 };
  meter.reset();
  now = 1000;
  await meter.pause(() => {
    now = 5000;
    return Promise.resolve();
  });
  assert.equal(meter.read(), 1000);
  meter.count(1, 10);
  meter.count(2, 10);
  now = 6000;
  meter.read();
  used = { user: 1.2e6, system: 1.3e6 };
  const { seconds, busy, operations } = meter.measurement();
  assert.deepEqual([seconds, busy], [2, 0.25]);
  assert.deepEqual(
    operations.map(({ name, requests, bytes }) => [name, requests, bytes]),
    [
      ['read', 0, 0],
      ['write', 1, 4096],
    ],
  );
  used = { user: 9e6, system: 9e6 };
  assert.equal(meter.measurement().busy, 1);
  meter.reset();
  assert.equal(meter.requests, 0);
});
