/** The ways to measure devices: one, two in turn, or at growing load. */
import { Bench, type Progress } from './bench.js';
import { compareRounds, type Ratio } from './compare.js';
import { DEFAULT_DEPTH, type Load, type LoadRequest } from './load.js';
import { sum, type Measurement } from './measurement.js';

/** How long a device works before it is measured, in seconds: meanwhile V8 compiles what is executed often. */
const WARM_UP_SECONDS = 0.5;
/** How often two devices are measured in turn. */
const COMPARED_ROUNDS = 10;

/** A device to measure. */
export interface BenchTarget {
  readonly name: string;
  /** `/dev/vhost-vdpa-0` */
  readonly node: string;
}

/** What a device has done. */
export interface BenchResult {
  readonly name: string;
  readonly load: Load;
  readonly measurement: Measurement;
}

/** How two devices compare that were measured in turn. */
export interface Comparison {
  readonly rounds: number;
  readonly ratios: readonly Ratio[];
}

/** What was measured. */
export interface BenchReport {
  readonly results: readonly BenchResult[];
  /** The first device compared with the second one. */
  readonly comparison?: Comparison;
}

/** Options of a measurement. */
export interface MeasureOptions {
  /** Seconds for each device, and in a sweep for each depth. */
  readonly seconds: number;
  /** Ends it early: it rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Called about ten times a second. */
  readonly onProgress?: (name: string, progress: Progress) => void;
}

/** A device that is measured in rounds. */
interface Side {
  readonly name: string;
  readonly bench: Bench;
  readonly rounds: Measurement[];
}

/**
 * Measures a device; or two in turn, in rounds of which every other one begins with the second device: what changes on
 * the machine meanwhile concerns both.
 * @throws as {@link Bench} does
 */
export async function measure(
  targets: readonly BenchTarget[],
  request: LoadRequest,
  options: MeasureOptions,
): Promise<BenchReport> {
  const rounds = targets.length > 1 ? COMPARED_ROUNDS : 1;
  const sides = await inRounds(targets, request, options, rounds);
  const [one, other] = sides;
  return {
    results: sides.map(resultOf),
    ...(one && other && { comparison: { rounds, ratios: compareRounds(one.rounds, other.rounds) } }),
  };
}

/**
 * Measures devices with 1, 2, 4 … requests in flight, up to the depth that is asked for.
 * @returns the results by depth, in each the devices in their order
 * @throws as {@link Bench} does
 */
export async function sweep(
  targets: readonly BenchTarget[],
  request: LoadRequest,
  options: MeasureOptions,
): Promise<BenchReport> {
  const results: BenchResult[] = [];
  for (const depth of sweptDepths(request.depth ?? DEFAULT_DEPTH)) {
    results.push(...(await inRounds(targets, { ...request, depth }, options, 1)).map(resultOf));
  }
  return { results };
}

/** The powers of two below a depth, and the depth. */
export function sweptDepths(depth: number): number[] {
  const depths: number[] = [];
  for (let power = 1; power < depth; power *= 2) depths.push(power);
  return [...depths, depth];
}

function resultOf({ name, bench, rounds }: Side): BenchResult {
  return { name, load: bench.load, measurement: sum(rounds) };
}

async function inRounds(
  targets: readonly BenchTarget[],
  request: LoadRequest,
  { seconds, signal, onProgress }: MeasureOptions,
  rounds: number,
): Promise<Side[]> {
  const ending = signal && { signal };
  const sides: Side[] = [];
  try {
    for (const { name, node } of targets) sides.push({ name, bench: new Bench(node, request), rounds: [] });
    for (const { bench } of sides) await bench.run(WARM_UP_SECONDS, { ...ending });
    for (let round = 0; round < rounds; round++) {
      for (const { name, bench, rounds: done } of round % 2 === 0 ? sides : [...sides].reverse()) {
        const report = onProgress && { onProgress: onProgress.bind(undefined, name) };
        done.push(await bench.run(seconds / rounds, { ...ending, ...report }));
      }
    }
    return sides;
  } finally {
    for (const { bench } of sides) bench.close();
  }
}
