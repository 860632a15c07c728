import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMetrics } from '../../src/render/metrics.js';
import { bar, formatRates } from '../../src/render/rates.js';
import { StatsWatch, type DeviceStats } from '../../src/vdpa/stats.js';

const stats = (values: readonly bigint[]): DeviceStats[] => [
  {
    name: 'foo0',
    queues: values.map((value, queueIndex) => ({
      name: 'foo0',
      deviceId: 1,
      queueIndex,
      counters: [{ name: 'packets', value }],
    })),
  },
];

test('rates are growth a second; a counter that fell or is new has none', () => {
  const watch = new StatsWatch();
  const rates = (values: readonly bigint[], time: number): (number | undefined)[] =>
    watch.compare(stats(values), time).counters.map(({ rate }) => rate);
  assert.deepEqual(rates([5n, 10n], 1000), [undefined, undefined]);
  assert.deepEqual(rates([15n, 10n], 3000), [5, 0]);
  assert.deepEqual(rates([1n, 20n, 7n], 3500), [undefined, 20, undefined]);
  const large = 2n ** 63n;
  rates([large], 4000);
  assert.deepEqual(rates([large + 8n], 8000), [2]);
});

test('bars go up to twenty characters, in eighths', () => {
  assert.equal(bar(100, 100), '█'.repeat(20));
  assert.equal(bar(50, 100), '█'.repeat(10));
  assert.equal(bar(1, 160), '▏');
  assert.equal(bar(0, 100), '');
  assert.equal(bar(0, 0), '');
});

test('lines stand in columns, and are drawn against the highest of their kind', () => {
  const watch = new StatsWatch();
  watch.compare(stats([0n, 0n]), 0);
  const sample = watch.compare(stats([100n, 50n]), 1000);
  assert.equal(
    formatRates(sample, true),
    `foo0  qidx 0 rx  packets  100  100.0/s  ${'█'.repeat(20)}\n` +
      `foo0  qidx 1 tx  packets   50   50.0/s  ${'█'.repeat(10)}\n`,
  );
  assert.doesNotMatch(formatRates(sample, false), /█/);
});

test('metrics: names as Prometheus takes them, the vendor’s own in a label, quotes and line breaks escaped', () => {
  const device = { name: 'a"\\\n\udcff', deviceId: 2, managementDevice: { bus: 'pci', name: 'x' } };
  const queue = { name: 'foo0', deviceId: 1, queueIndex: 2, maxVirtqueuePairs: 1, negotiatedFeatures: 1n << 17n };
  const text = formatMetrics(
    [device],
    [{ name: 'foo0', queues: [{ ...queue, counters: [{ name: 'Rx-bytes (total)', value: 2n ** 64n - 1n }] }] }],
  );
  assert.equal(
    text,
    [
      '# HELP vdpa_device_info A vDPA device, by what it is and where it was made.',
      '# TYPE vdpa_device_info gauge',
      'vdpa_device_info{dev="a\\"\\\\\\n\ufffd",type="block",mgmtdev="pci/x"} 1',
      '# HELP vdpa_queue_rx_bytes_total A counter of a virtqueue that the vendor of the device keeps.',
      '# TYPE vdpa_queue_rx_bytes_total counter',
      'vdpa_queue_rx_bytes_total{dev="foo0",qidx="2",queue_type="control_vq",counter="Rx-bytes (total)"} 18446744073709551615',
      '# EOF',
      '',
    ].join('\n'),
  );
  assert.equal(formatMetrics([], []), '# EOF\n');
});
