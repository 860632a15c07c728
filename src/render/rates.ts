import type { CounterSample, StatsSample } from '../vdpa/stats.js';
import type { Printer } from './printer.js';
import { renderRows } from './rows.js';
import { queueType } from './stats.js';

const barLength = 20;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** Prints a sample as one document: the counters, and the growth of each a second. */
export function renderRates(printer: Printer, { seconds, counters }: StatsSample): void {
  printer.openRow();
  printer.number('seconds', round(seconds, 3), 'seconds ');
  renderRows(printer, 'counters', counters, ({ device, queue, name, value, rate }) => {
    printer.string('dev', device, '');
    if (queue.queueIndex !== undefined) printer.number('qidx', queue.queueIndex, ' qidx ');
    const type = queueType(queue);
    if (type !== undefined) printer.string('queue_type', type, ' ');
    printer.string('counter', name, ' ');
    printer.number('value', value, ' ');
    if (rate !== undefined) printer.number('rate', round(rate, 1), ' ');
  });
  printer.closeRow();
}

/**
 * A sample as lines in columns, a counter each.
 * @param bars whether each rate is drawn, against the highest of the counters of the same name
 */
export function formatRates({ counters }: StatsSample, bars: boolean): string {
  const highest = new Map<string, number>();
  for (const { name, rate = 0 } of counters) highest.set(name, Math.max(highest.get(name) ?? 0, rate));
  const rows = counters.map((counter) => cells(counter));
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = counters.map(({ name, rate = 0 }, index) => {
    const columns = (rows[index] ?? []).map((cell, column) =>
      column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    const drawn = bars ? bar(rate, highest.get(name) ?? 0) : '';
    return [...columns, drawn].join('  ').trimEnd();
  });
  return lines.map((line) => `${line}\n`).join('');
}

/** Device, queue, counter, value and rate. */
function cells({ device, queue, name, value, rate }: CounterSample): string[] {
  const queueWords = [queue.queueIndex === undefined ? '' : `qidx ${queue.queueIndex}`, queueType(queue) ?? ''];
  return [
    device,
    queueWords.join(' ').trim(),
    name,
    value.toString(),
    rate === undefined ? '' : `${rate.toFixed(1)}/s`,
  ];
}

/** A bar of up to 20 characters, drawn to an eighth of one. */
export function bar(rate: number, highest: number): string {
  const length = highest <= 0 ? 0 : Math.round((rate / highest) * barLength * 8);
  return '█'.repeat(Math.floor(length / 8)) + (eighths[length % 8] ?? '');
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
