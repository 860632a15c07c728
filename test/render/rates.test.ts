import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import { plain } from '../../src/render/paint.js';
import { bar, formatRates, renderRates, type RatesView } from '../../src/render/rates.js';
import type { CounterSample, StatsSample } from '../../src/vdpa/stats.js';

const counter = (device: string, name: string, value: bigint, rate?: number): CounterSample => ({
  device,
  queue: { name: device, deviceId: 2, queueIndex: 0, counters: [] },
  name,
  value,
  ...(rate !== undefined && { rate }),
});
const sample: StatsSample = {
  seconds: 1.00049,
  counters: [
    counter('foo0', 'received_desc', 2n ** 63n, 12.34),
    counter('foo0', 'completed_desc', 7n, 0),
    counter('longer-name', 'received_desc', 100n, 6.17),
    counter('longer-name', 'errors', 1n),
  ],
};
const view: RatesView = { bars: false, utf8: true, paint: plain };

describe('rates', () => {
  test('are printed in columns, with the rate if there is one', () => {
    const lines = formatRates(sample, view).split('\n');
    assert.equal(lines.length, 5);
    assert.match(lines[0] ?? '', /^foo0 {9}qidx 0 {2}received_desc {3}9223372036854775808 {2}12\.3\/s$/);
    assert.match(lines[1] ?? '', /^foo0 {9}qidx 0 {2}completed_desc +7 {3}0\.0\/s$/);
    assert.match(lines[3] ?? '', /^longer-name {2}qidx 0 {2}errors +1$/);
    assert.equal(new Set(lines.slice(0, 3).map((line) => line.indexOf('/s'))).size, 1);
  });

  test('have bars relative to the highest counter of the same name', () => {
    const lines = formatRates(sample, { ...view, bars: true }).split('\n');
    assert.ok(lines[0]?.endsWith('█'.repeat(20)));
    assert.ok(lines[2]?.endsWith('█'.repeat(10)));
    assert.ok(!lines[1]?.includes('█'));
  });

  test('are colored by their meaning', () => {
    const painted = formatRates(
      {
        seconds: 1,
        counters: [counter('a', 'received', 1n, 1), counter('a', 'rx_errors', 1n, 1), counter('a', 'b', 1n, 0)],
      },
      { ...view, paint: (role, text) => `<${role} ${text.trim()}>` },
    ).split('\n');
    assert.match(painted[0] ?? '', /<up 1\.0\/s>/);
    assert.match(painted[1] ?? '', /<down 1\.0\/s>/);
    assert.doesNotMatch(painted[2] ?? '', /<(up|down)/);
  });

  test('on a terminal that is too small: lines are cut, and the last says how many are missing', () => {
    const size = { columns: 16, rows: 4 };
    const utf8 = formatRates(sample, { ...view, bars: true, size });
    assert.deepEqual(
      utf8.split('\n').map((line) => line.length <= 16),
      [true, true, true, true],
    );
    assert.match(utf8, /^foo0.*…\n/);
    assert.ok(utf8.endsWith('\n… 2 more\n'));
    assert.match(formatRates(sample, { ...view, utf8: false, size }), /~\n(.*\n)*\.\.\. 2 more\n$/);
    assert.equal(formatRates(sample, { ...view, size: { columns: 0, rows: 1 } }).split('\n').length, 2);
  });

  test('escape names with control characters', () => {
    const text = formatRates({ seconds: 0, counters: [counter('a\x1b[2J', 'x\n', 1n)] }, view);
    assert.ok(!text.includes('\x1b') && text.trimEnd().split('\n').length === 1);
  });

  test('in JSON are rounded, and counters keep all their digits', () => {
    let text = '';
    const printer = new JsonPrinter(
      new Output((part) => {
        text += part;
      }),
      { pretty: false },
    );
    renderRates(printer, sample);
    printer.finish();
    assert.ok(text.includes('"value":9223372036854775808'));
    const json = JSON.parse(text) as { seconds: number; counters: { rate?: number; qidx: number }[] };
    assert.equal(json.seconds, 1);
    assert.deepEqual(
      json.counters.map(({ rate }) => rate),
      [12.3, 0, 6.2, undefined],
    );
  });
});

test('a bar is accurate to an eighth of a character, or to a whole one without UTF-8', () => {
  assert.equal(bar(1, 8, { length: 1 }), '▏');
  assert.equal(bar(7, 8, { length: 1 }), '▉');
  assert.equal(bar(8, 8, { length: 3 }), '███');
  assert.equal(bar(0, 0), '');
  assert.equal(bar(5, 10, { length: 10, utf8: false }), '#####');
});
