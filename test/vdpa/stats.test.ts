import assert from 'node:assert/strict';
import { test } from 'node:test';
import stringWidth from 'string-width';
import { formatMetrics } from '../../src/render/metrics.js';
import { plain, type Role } from '../../src/render/paint.js';
import { bar, formatRates } from '../../src/render/rates.js';
import { StatsWatch, type CounterSample, type DeviceStats } from '../../src/vdpa/stats.js';

const stats = (values: readonly bigint[]): DeviceStats[] => [
  {
    name: 'foo0',
    refused: [],
    queues: values.map((value, queueIndex) => ({
      name: 'foo0',
      deviceId: 1,
      queueIndex,
      counters: [{ name: 'packets', value }],
    })),
  },
];

test('rates are the growth per second; a counter that fell or is new has none', () => {
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

test('bars have up to twenty characters, in eighths', () => {
  assert.equal(bar(100, 100), '█'.repeat(20));
  assert.equal(bar(50, 100), '█'.repeat(10));
  assert.equal(bar(1, 160), '▏');
  assert.equal(bar(0, 100), '');
  assert.equal(bar(0, 0), '');
});

test('lines are printed in columns, with bars relative to the highest of their kind', () => {
  const watch = new StatsWatch();
  watch.compare(stats([0n, 0n]), 0);
  const sample = watch.compare(stats([100n, 50n]), 1000);
  assert.equal(
    formatRates(sample, { bars: true, utf8: true, paint: plain }),
    `foo0  qidx 0 rx  packets  100  100.0/s  ${'█'.repeat(20)}\n` +
      `foo0  qidx 1 tx  packets   50   50.0/s  ${'█'.repeat(10)}\n`,
  );
  assert.doesNotMatch(formatRates(sample, { bars: false, utf8: true, paint: plain }), /█/);
  assert.match(formatRates(sample, { bars: true, utf8: false, paint: plain }), /^[\n -~]*#[\n -~]*$/);
});

test('metrics: names valid for Prometheus, the vendor’s own in a label, quotes and line breaks escaped', () => {
  const device = { name: 'a"\\\n\udcff', deviceId: 2, managementDevice: 'pci/x' };
  const queue = { name: 'foo0', deviceId: 1, queueIndex: 2, maxVirtqueuePairs: 1, negotiatedFeatures: 1n << 17n };
  const text = formatMetrics(
    [device],
    [
      {
        name: 'foo0',
        refused: [],
        queues: [{ ...queue, counters: [{ name: 'Rx-bytes (total)', value: 2n ** 64n - 1n }] }],
      },
    ],
  );
  assert.equal(
    text,
    [
      '# HELP vdpa_device_info A vDPA device, with its type and management device.',
      '# TYPE vdpa_device_info gauge',
      'vdpa_device_info{dev="a\\"\\\\\\n\ufffd",type="block",mgmtdev="pci/x"} 1',
      '# HELP vdpa_queue_rx_bytes_total A vendor-specific counter of a virtqueue.',
      '# TYPE vdpa_queue_rx_bytes_total counter',
      'vdpa_queue_rx_bytes_total{dev="foo0",qidx="2",queue_type="control_vq",counter="Rx-bytes (total)"} 18446744073709551615',
      '# EOF',
      '',
    ].join('\n'),
  );
  assert.equal(formatMetrics([], []), '# EOF\n');
});

test('rates fit the height and width of a terminal, including wide characters, and have colors', () => {
  const counter = (device: string, name: string, rate: number): CounterSample => ({
    device,
    queue: { queueIndex: 0, negotiatedFeatures: 0n, deviceId: 1, name: device, counters: [] },
    name,
    value: 123_456n,
    rate,
  });
  const counters = [
    ...['設備一', '設備二', 'foo0'].map((device) => counter(device, 'rx packets', 10)),
    ...['設備三', 'foo1'].map((device) => counter(device, 'rx drops', 5)),
    counter('a\u001b[2Jb', 'rx packets', 0),
  ];
  const roles: string[] = [];
  const paint = (role: Role, text: string): string => {
    roles.push(`${role} ${text.trim()}`);
    return text;
  };
  for (const columns of [120, 60, 40, 20, 9, 1]) {
    for (const rows of [24, 7, 6, 4, 2, 1]) {
      for (const utf8 of [true, false]) {
        const lines = formatRates({ seconds: 1, counters }, { bars: true, utf8, paint, size: { columns, rows } })
          .split('\n')
          .slice(0, -1);
        assert.ok(lines.length <= Math.max(1, rows - 1), `${lines.length} lines on ${rows}`);
        for (const line of lines.filter((one) => !/^(…|\.\.\.) \d+ more$/.test(one))) {
          assert.ok(stringWidth(line) <= columns, `${JSON.stringify(line)} on ${columns}`);
          assert.doesNotMatch(line, /\p{Cc}/u);
        }
      }
    }
  }
  const [first = '', , third = '', , , last] = formatRates(
    { seconds: 1, counters },
    { bars: true, utf8: true, paint, size: { columns: 120, rows: 24 } },
  ).split('\n');
  assert.equal(stringWidth(first.slice(0, first.indexOf('qidx'))), stringWidth(third.slice(0, third.indexOf('qidx'))));
  assert.match(last ?? '', /^a\ufffd\[2Jb/);
  for (const role of ['name 設備一', 'up 10.0/s', 'down 5.0/s']) assert.ok(roles.includes(role), role);
  const short = formatRates(
    { seconds: 1, counters },
    { bars: true, utf8: true, paint, size: { columns: 80, rows: 4 } },
  );
  assert.match(short, /\n… 4 more\n$/);
});
