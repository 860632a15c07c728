/** Latencies, in a histogram of three significant digits: HdrHistogram, which Node has built in. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Percentiles that are reported, with their names in JSON. */
export const percentiles = { p50: 50, p90: 90, p99: 99, 'p99.9': 99.9, 'p99.99': 99.99 } as const;
export type PercentileName = keyof typeof percentiles;
export const percentileNames = Object.keys(percentiles) as PercentileName[];

/** What a histogram says; all times in nanoseconds, 0 if nothing was recorded. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  /** The standard deviation. */
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
  readonly percentiles: Readonly<Record<PercentileName, number>>;
}

/** An hour. What takes longer counts as this. */
const HIGHEST = 3600e9;

/** A histogram of latencies. */
export class LatencyHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: HIGHEST, figures: 3 });

  /** Adds one. @param milliseconds as of `performance.now()` */
  record(milliseconds: number): void {
    const nanoseconds = Math.round(milliseconds * 1e6);
    this.#histogram.record(nanoseconds < 1 ? 1 : Math.min(nanoseconds, HIGHEST));
  }

  /** Adds all of another one. */
  add(other: LatencyHistogram): void {
    this.#histogram.add(other.#histogram);
  }

  /** Forgets all. */
  reset(): void {
    this.#histogram.reset();
  }

  summary(): LatencySummary {
    const { count } = this.#histogram;
    const value = (number: number): number => (count === 0 ? 0 : Math.round(number));
    const at = (percent: number): number => value(this.#histogram.percentile(percent));
    return {
      count,
      mean: value(this.#histogram.mean),
      deviation: value(this.#histogram.stddev),
      min: value(this.#histogram.min),
      max: value(this.#histogram.max),
      percentiles: Object.fromEntries(percentileNames.map((name) => [name, at(percentiles[name])])) as Record<
        PercentileName,
        number
      >,
    };
  }
}
