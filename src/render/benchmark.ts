/** The results of `vdpa dev bench`, as text and JSON. */
import type { Ratio } from '../benchmark/compare.js';
import { percentileNames, type LatencySummary } from '../benchmark/latency.js';
import type { Load } from '../benchmark/load.js';
import type { Measurement, OperationName, OperationTotals } from '../benchmark/measurement.js';
import type { BenchReport, BenchResult, Comparison } from '../benchmark/run.js';
import { renderRows, type Printer } from './printer.js';

const units: Readonly<Record<OperationName, string>> = {
  read: 'requests',
  write: 'requests',
  send: 'packets',
  loop: 'packets',
};

/** What was measured, in a few words. */
export function describeLoad(load: Load): string {
  return `${describeRequests(load)} depth ${load.depth} queues ${load.queues}`;
}

/** The requests of a load. */
export function describeRequests(load: Load): string {
  return `${load.type === 'block' ? `rw ${load.pattern}` : 'net'} bs ${load.blockSize}`;
}

/** Results as text: the load of each, two lines for each kind of requests; then the ratios. */
export function formatBench({ results, comparison }: BenchReport): string {
  return results.map(formatResult).join('') + (comparison ? formatRatios(results, comparison) : '');
}

function formatResult({ name, load, measurement }: BenchResult): string {
  const { operations, seconds, busy, lost } = measurement;
  const loss = lost === 0 ? '' : `, ${lost} packets lost`;
  const head = `${name}: ${describeLoad(load)}, ${seconds.toFixed(1)} s, driver busy ${percent(busy)}${loss}`;
  return [head, ...operations.flatMap((operation) => operationLines(operation, measurement))]
    .map((line) => `${line}\n`)
    .join('');
}

function operationLines(totals: OperationTotals, { seconds }: Measurement): string[] {
  const { name, requests, bytes, latency } = totals;
  const rates = `${formatRate(requests / seconds)} ${units[name]}/s  ${formatBytes(bytes / seconds)}/s`;
  return [`  ${name}  ${rates}`, ...(requests === 0 ? [] : [`    latency  ${formatLatency(latency.summary())}`])];
}

function formatLatency({ mean, min, max, percentiles }: LatencySummary): string {
  const shares = percentileNames.map((name) => [name, percentiles[name]] as const);
  return ([['mean', mean], ['min', min], ...shares, ['max', max]] as const)
    .map(([name, nanoseconds]) => `${name} ${formatTime(nanoseconds)}`)
    .join('  ');
}

function formatRatios([one, other]: readonly BenchResult[], { rounds, ratios }: Comparison): string {
  const lines = ratios.map(
    (ratio) => `  ${ratio.operation}  ${figureText(ratio)}  ${ratio.median.toFixed(3)} (${spread(ratio)})\n`,
  );
  return `${one?.name}/${other?.name}: median of ${rounds} rounds (lowest to highest)\n${lines.join('')}`;
}

function figureText({ operation, figure }: Ratio): string {
  return figure === 'requests_per_second' ? `${units[operation]}/s` : `${figure} of the latency`;
}

function spread({ lowest, highest }: Ratio): string {
  return `${lowest.toFixed(3)} to ${highest.toFixed(3)}`;
}

/** Prints results in JSON. */
export function renderBench(printer: Printer, { results, comparison }: BenchReport): void {
  printer.openSection('bench');
  for (const [index, { name, load, measurement }] of results.entries()) {
    printer.openRecord(name);
    renderLoad(printer, load);
    renderMeasurement(printer, measurement);
    const other = results[index + 1];
    if (comparison && other) renderRatios(printer, other.name, comparison);
    printer.closeRecord();
  }
  printer.closeSection();
}

function renderLoad(printer: Printer, load: Load): void {
  printer.string('type', load.type, ' ');
  if (load.type === 'block') printer.string('rw', load.pattern, ' ');
  printer.number('bs', load.blockSize, ' ');
  printer.number('depth', load.depth, ' ');
  printer.number('queues', load.queues, ' ');
}

function renderMeasurement(printer: Printer, { operations, seconds, busy, lost }: Measurement): void {
  printer.number('seconds', rounded(seconds, 3), ' ');
  printer.number('driver_busy', rounded(busy, 4), ' ');
  printer.number('lost', lost, ' ');
  renderRows(printer, 'operations', operations, ({ name, requests, bytes, latency }) => {
    printer.string('operation', name, ' ');
    printer.number('requests', requests, ' ');
    printer.number('bytes', bytes, ' ');
    printer.number('requests_per_second', rounded(requests / seconds, 1), ' ');
    printer.number('bytes_per_second', rounded(bytes / seconds, 0), ' ');
    const { mean, deviation, min, max, percentiles } = latency.summary();
    printer.openRecord('latency_ns');
    for (const [key, value] of Object.entries({ mean, deviation, min, max, ...percentiles })) {
      printer.number(key, value, ' ');
    }
    printer.closeRecord();
  });
}

function renderRatios(
  printer: Printer,
  other: string,
  { rounds, ratios }: Pick<Comparison, 'rounds' | 'ratios'>,
): void {
  printer.openRecord('against');
  printer.string('device', other, ' ');
  printer.number('rounds', rounds, ' ');
  renderRows(printer, 'ratios', ratios, ({ operation, figure, median, lowest, highest }) => {
    printer.string('operation', operation, ' ');
    printer.string('figure', figure, ' ');
    printer.number('median', rounded(median, 4), ' ');
    printer.number('lowest', rounded(lowest, 4), ' ');
    printer.number('highest', rounded(highest, 4), ' ');
  });
  printer.closeRecord();
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Requests a second: whole from a hundred on. */
export function formatRate(perSecond: number): string {
  return perSecond < 100 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

/** Bytes with three digits: `1.25 MB`, of a thousand kB each. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/** A time with three digits: `12.5 us`. */
export function formatTime(nanoseconds: number): string {
  return scaled(nanoseconds, ['ns', 'us', 'ms', 's']);
}

function scaled(value: number, names: readonly string[]): string {
  let left = value;
  let step = 0;
  while (left >= 999.5 && step < names.length - 1) {
    left /= 1000;
    step++;
  }
  const digits = step === 0 || left >= 99.95 ? 0 : left >= 9.995 ? 1 : 2;
  return `${left.toFixed(digits)} ${names[step] ?? ''}`;
}
