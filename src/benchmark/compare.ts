/** Compares two devices, measured in turn. */
import { percentileNames, type PercentileName } from './latency.js';
import type { Measurement, OperationName, OperationTotals } from './measurement.js';

/** What is compared: of a rate more is better, of a latency less. */
export const comparedFigures = ['requests_per_second', 'p50', 'p99'] as const;
export type ComparedFigure = (typeof comparedFigures)[number];

/** The ratio of two devices over all rounds: the figure of the first one, divided by that of the second. */
export interface Ratio {
  readonly operation: OperationName;
  readonly figure: ComparedFigure;
  readonly median: number;
  /** The lowest and the highest of any round. */
  readonly lowest: number;
  readonly highest: number;
}

/**
 * The ratios of two devices.
 * @param one what the first one did in each round
 * @param other the same of the second one, of as many rounds
 * @returns none for an operation that one of them has not completed once in some round
 */
export function compareRounds(one: readonly Measurement[], other: readonly Measurement[]): Ratio[] {
  const names = one[0]?.operations.map(({ name }) => name) ?? [];
  return names.flatMap((operation) =>
    comparedFigures.flatMap((figure) => {
      const ratios = one.map((round, index) => {
        const opposite = other[index];
        return opposite === undefined
          ? Number.NaN
          : figureOf(round, operation, figure) / figureOf(opposite, operation, figure);
      });
      if (ratios.length === 0 || !ratios.every((ratio) => Number.isFinite(ratio) && ratio > 0)) return [];
      ratios.sort((left, right) => left - right);
      return [{ operation, figure, median: median(ratios), lowest: ratios[0] ?? 0, highest: ratios.at(-1) ?? 0 }];
    }),
  );
}

function figureOf({ operations, seconds }: Measurement, name: OperationName, figure: ComparedFigure): number {
  const totals = operations.find((operation) => operation.name === name);
  if (totals === undefined) return 0;
  return isPercentile(figure) ? percentile(totals, figure) : totals.requests / seconds;
}

function percentile({ latency }: OperationTotals, name: PercentileName): number {
  return latency.summary().percentiles[name];
}

function isPercentile(figure: ComparedFigure): figure is ComparedFigure & PercentileName {
  return percentileNames.some((name) => name === figure);
}

/** @param sorted ascending, not empty */
function median(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return Number.isInteger(half) ? (at(half - 1) + at(half)) / 2 : at(Math.floor(half));
}
