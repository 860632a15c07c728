/** Latency against load, as a picture in SVG. */
import { percentileNames, type PercentileName } from '../benchmark/latency.js';
import type { OperationName } from '../benchmark/measurement.js';
import type { BenchReport, BenchResult } from '../benchmark/run.js';
import { describeRequests, formatTime } from './benchmark.js';
import { escapeXml } from './xml.js';

const WIDTH = 900;
const HEIGHT = 520;
/** The field of the curves. */
const LEFT = 90;
const RIGHT = WIDTH - 30;
const TOP = 60;
const BOTTOM = HEIGHT - 60;

/** The percentiles that are drawn, and how. */
const drawn: Readonly<Partial<Record<PercentileName, string>>> = { p50: '', p99: '6 3', 'p99.9': '2 3' };
/** For curves of different devices and operations: colors that all can tell apart, of Okabe and Ito. */
const colors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'] as const;

interface Point {
  readonly depth: number;
  /** Requests a second. */
  readonly rate: number;
  /** Nanoseconds. */
  readonly latency: number;
}

interface Curve {
  readonly label: string;
  readonly color: string;
  readonly dashes: string;
  readonly points: readonly Point[];
}

/**
 * Draws how the latency grows with the load.
 * @param report of one or two devices at several depths, which are beside the points
 */
export function formatPlot({ results }: BenchReport): string {
  const curves = curvesOf(results);
  const points = curves.flatMap((curve) => curve.points);
  const x = linear(Math.max(1, ...points.map(({ rate }) => rate)));
  const y = logarithmic(points.map(({ latency }) => latency));
  const place = ({ rate, latency }: Point): string => `${x.at(rate).toFixed(1)},${y.at(latency).toFixed(1)}`;
  const parts = [
    ...x.ticks.map((rate) => verticalLine(x.at(rate), String(Number(rate.toPrecision(6))))),
    ...y.ticks.map((latency) => horizontalLine(y.at(latency), formatTime(latency))),
    ...curves.flatMap(({ label, color, dashes, points: own }, index) => [
      `<polyline points="${own.map(place).join(' ')}" fill="none" stroke="${color}" stroke-width="2"${dashed(dashes)}/>`,
      ...own.map((point) => mark(x.at(point.rate), y.at(point.latency), color, dashes === '' ? `${point.depth}` : '')),
      legend(index, label, color, dashes),
    ]),
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${escapeXml(titleOf(results))}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
${text(WIDTH / 2, 24, titleOf(results), 'middle', 15)}
${text((LEFT + RIGHT) / 2, HEIGHT - 14, xTitle(results), 'middle')}
${parts.join('\n')}
</svg>
`;
}

function xTitle([first]: readonly BenchResult[]): string {
  const unit = first?.load.type === 'net' ? 'packets' : 'requests';
  return `${unit} a second; beside the points, ${unit} in flight on each queue`;
}

function titleOf(results: readonly BenchResult[]): string {
  const names = [...new Set(results.map(({ name }) => name))].join(', ');
  const load = results[0]?.load;
  return load
    ? `${names}: latency against load, ${describeRequests(load)} queues ${load.queues}`
    : 'Nothing was measured';
}

/** A curve for each device, operation and percentile. */
function curvesOf(results: readonly BenchResult[]): Curve[] {
  const series = new Map<string, { readonly operation: OperationName; readonly results: BenchResult[] }>();
  for (const result of results) {
    for (const { name: operation } of result.measurement.operations) {
      const key = `${result.name} ${operation}`;
      const known = series.get(key);
      if (known) known.results.push(result);
      else series.set(key, { operation, results: [result] });
    }
  }
  return Array.from(series).flatMap(([label, { operation, results: own }], index) =>
    percentileNames.flatMap((percentile) => {
      const dashes = drawn[percentile];
      if (dashes === undefined) return [];
      const points = own.flatMap((result) => pointOf(result, operation, percentile));
      return [{ label: `${label} ${percentile}`, color: colors[index % colors.length] ?? colors[0], dashes, points }];
    }),
  );
}

/** None if nothing was completed. */
function pointOf({ load, measurement }: BenchResult, operation: OperationName, percentile: PercentileName): Point[] {
  const totals = measurement.operations.find(({ name }) => name === operation);
  if (totals === undefined || totals.requests === 0) return [];
  const rate = totals.requests / measurement.seconds;
  return [{ depth: load.depth, rate, latency: totals.latency.summary().percentiles[percentile] }];
}

interface Axis {
  readonly ticks: readonly number[];
  /** The place of a value. */
  at(value: number): number;
}

/** From 0 to a bit more than a value, with round ticks. */
function linear(highest: number): Axis {
  const power = 10 ** Math.floor(Math.log10(highest));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((size) => highest / size <= 8) ?? 2 * power;
  const end = Math.ceil(highest / step) * step;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step);
  return { ticks, at: (value) => LEFT + (value / end) * (RIGHT - LEFT) };
}

/** The decades around values. */
function logarithmic(values: readonly number[]): Axis {
  const logs = values.map((value) => Math.log10(Math.max(1, value)));
  const first = Math.floor(Math.min(...logs, 9));
  const last = Math.max(first + 1, Math.ceil(Math.max(...logs, 0)));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  const at = (value: number): number =>
    BOTTOM - ((Math.log10(Math.max(1, value)) - first) / (last - first)) * (BOTTOM - TOP);
  return { ticks, at };
}

function verticalLine(x: number, label: string): string {
  const at = x.toFixed(1);
  return `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${BOTTOM}" stroke="#dddddd"/>\n${text(x, BOTTOM + 18, label, 'middle')}`;
}

function horizontalLine(y: number, label: string): string {
  const at = y.toFixed(1);
  return `<line x1="${LEFT}" y1="${at}" x2="${RIGHT}" y2="${at}" stroke="#dddddd"/>\n${text(LEFT - 8, y + 4, label, 'end')}`;
}

function mark(x: number, y: number, color: string, label: string): string {
  const circle = `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${color}"/>`;
  return label === '' ? circle : `${circle}\n${text(x + 5, y + 14, label, 'start', 11)}`;
}

function legend(index: number, label: string, color: string, dashes: string): string {
  const y = TOP + 14 + index * 16;
  const line = `<line x1="${LEFT + 12}" y1="${y - 4}" x2="${LEFT + 42}" y2="${y - 4}" stroke="${color}" stroke-width="2"${dashed(dashes)}/>`;
  return `${line}\n${text(LEFT + 48, y, label, 'start')}`;
}

function dashed(dashes: string): string {
  return dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end', size = 12): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}">${escapeXml(words)}</text>`;
}
