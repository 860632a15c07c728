/** The results of `vdpa dev bench` for Prometheus. */
import { percentileNames, percentiles } from '../benchmark/latency.js';
import type { BenchReport } from '../benchmark/run.js';
import { Metrics } from './openmetrics.js';

/** Rates, latencies in seconds, and ratios. */
export function formatBenchMetrics({ results, comparison }: BenchReport): string {
  const metrics = new Metrics();
  for (const { name: dev, load, measurement } of results) {
    const { type, blockSize, depth, queues } = load;
    const info = {
      ...{ dev, type, ...(load.type === 'block' && { rw: load.pattern }) },
      ...{ bs: `${blockSize}`, depth: `${depth}`, queues: `${queues}` },
    };
    metrics.put('vdpa_bench_info', 'gauge', 'A measured vDPA device, with its load.', info, 1);
    const gauge = (name: string, help: string, labels: Readonly<Record<string, string>>, value: number): void => {
      metrics.put(`vdpa_bench_${name}`, 'gauge', help, labels, value);
    };
    gauge('seconds', 'The time that was measured.', { dev }, measurement.seconds);
    gauge('driver_busy_ratio', 'The processor time of the driver, as a part of it.', { dev }, measurement.busy);
    gauge('lost_packets', 'Packets that did not come back.', { dev }, measurement.lost);
    for (const { name: operation, requests, bytes, latency } of measurement.operations) {
      const labels = { dev, operation };
      gauge('requests_per_second', 'Requests or packets a second.', labels, requests / measurement.seconds);
      gauge('bytes_per_second', 'Their bytes a second.', labels, bytes / measurement.seconds);
      const { count, mean, percentiles: values } = latency.summary();
      const put = (more: Readonly<Record<string, string>>, value: number, suffix = ''): void => {
        const help = 'The time that a request or packet takes.';
        metrics.put('vdpa_bench_latency_seconds', 'summary', help, { ...labels, ...more }, value, suffix);
      };
      if (count > 0) {
        for (const key of percentileNames)
          put({ quantile: String(Number((percentiles[key] / 100).toFixed(4))) }, values[key] / 1e9);
      }
      put({}, (mean * count) / 1e9, '_sum');
      put({}, count, '_count');
    }
  }
  const [one, other] = results;
  for (const { operation, figure, ...ratio } of comparison?.ratios ?? []) {
    for (const statistic of ['median', 'lowest', 'highest'] as const) {
      const labels = { dev: one?.name ?? '', against: other?.name ?? '', operation, figure, statistic };
      metrics.put('vdpa_bench_ratio', 'gauge', 'A figure of a device by that of another.', labels, ratio[statistic]);
    }
  }
  return metrics.format();
}
