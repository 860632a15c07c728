import type { CounterSample, StatsSample } from '../vdpa/stats.js';
import { leading, padded, printable, widthOf } from './cells.js';
import type { Paint, Role } from './paint.js';
import { renderRows, type Printer } from './printer.js';
import { queueType } from './stats.js';

const barLength = 20;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** Prints a sample as one document: the counters, and the rate of each per second. */
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

/** The output for a sample. */
export interface RatesView {
  /** Whether each rate has a bar, relative to the highest counter of the same name. */
  readonly bars: boolean;
  /** Whether characters other than ASCII are supported. */
  readonly utf8: boolean;
  readonly paint: Paint;
  /** Size of the terminal in characters; undefined if the output is not limited. */
  readonly size?: { readonly columns: number; readonly rows: number } | undefined;
}

/** A word of a line, and its role. */
interface Part {
  readonly text: string;
  readonly role?: Role | undefined;
}

const separator = '  ';

/**
 * A sample as lines in columns, one per counter. If the terminal has too few lines, the last one says how many are
 * missing.
 */
export function formatRates({ counters }: StatsSample, view: RatesView): string {
  const highest = new Map<string, number>();
  for (const { name, rate = 0 } of counters) highest.set(name, Math.max(highest.get(name) ?? 0, rate));
  // The last line of the terminal stays empty: a line break there would scroll.
  const room = view.size === undefined ? counters.length : Math.max(1, view.size.rows - 1);
  const shown = counters.length <= room ? counters : counters.slice(0, room - 1);
  const rows = shown.map(cells);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => widthOf(row[column] ?? ''))));
  const used = widths.reduce((sum, width) => sum + width + separator.length, 0);
  const left = view.size === undefined ? barLength : Math.min(barLength, view.size.columns - used);
  const lines = shown.map((counter, index) => {
    const { name, rate = 0 } = counter;
    const roles = [...(['name', undefined, undefined, undefined] as const), rateRole(name, rate)];
    const parts: Part[] = (rows[index] ?? []).map((cell, column) => ({
      text: padded(cell, widths[column] ?? 0, column < 3 ? 'left' : 'right'),
      role: roles[column],
    }));
    if (view.bars && left > 0)
      parts.push({ text: bar(rate, highest.get(name) ?? 0, { length: left, utf8: view.utf8 }) });
    return joined(parts, view);
  });
  if (shown.length < counters.length) lines.push(`${view.utf8 ? '…' : '...'} ${counters.length - shown.length} more`);
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Device, queue, counter, value and rate. */
function cells({ device, queue, name, value, rate }: CounterSample): string[] {
  const queueWords = [queue.queueIndex === undefined ? '' : `qidx ${queue.queueIndex}`, queueType(queue) ?? ''];
  return [
    printable(device),
    queueWords.join(' ').trim(),
    printable(name),
    value.toString(),
    rate === undefined ? '' : `${rate.toFixed(1)}/s`,
  ];
}

/** Growing counters have the role `up`; errors that grow, `down`. */
function rateRole(name: string, rate: number): Role | undefined {
  if (rate === 0) return undefined;
  return /error|drop|overrun/.test(name) ? 'down' : 'up';
}

/** The parts of a line, truncated to the width of the terminal. */
function joined(parts: readonly Part[], { size, paint, utf8 }: RatesView): string {
  let left = size?.columns ?? Number.POSITIVE_INFINITY;
  let line = '';
  for (const [index, { text, role }] of parts.entries()) {
    const lead = index === 0 ? '' : separator;
    const whole = lead + text;
    // Only blanks follow the last word: they need no space.
    const width = widthOf(whole.trimEnd());
    if (width > left) {
      const mark = utf8 ? '…' : '~';
      return left < 1 ? line : `${line}${leading(whole, left - 1)}${mark}`;
    }
    line += lead + (role === undefined ? text : paint(role, text));
    left -= widthOf(whole);
  }
  return line;
}

/** A bar of a limited number of characters, accurate to an eighth of one. */
export function bar(rate: number, highest: number, { length = barLength, utf8 = true } = {}): string {
  const eighth = highest <= 0 ? 0 : Math.round((rate / highest) * length * 8);
  const whole = Math.floor(eighth / 8);
  return utf8 ? '█'.repeat(whole) + (eighths[eighth % 8] ?? '') : '#'.repeat(Math.round(eighth / 8));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
