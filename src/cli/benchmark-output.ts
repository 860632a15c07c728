/** The output of `vdpa dev bench`, in its formats. */
import type { Progress } from '../benchmark/bench.js';
import type { BenchReport } from '../benchmark/run.js';
import type { Io } from './io.js';
import type { Session } from './session.js';
import { supportsEscapes } from './terminal.js';

/** Erases the line, and returns to its begin: ECMA-48, EL. */
const eraseLine = '\x1b[2K\r';

/** How progress and results are printed. */
export interface BenchReporter {
  /** Options of a measurement. */
  readonly progress: { readonly onProgress?: (name: string, progress: Progress) => void };
  readonly end: (report: BenchReport) => void;
}

/** Prints results in the format of the command line; progress on a terminal only. */
export async function benchReporter({ options, io, printer }: Session): Promise<BenchReporter> {
  if (options.output === 'openmetrics') {
    const { formatBenchMetrics } = await import('../render/benchmark-metrics.js');
    return printed(io, formatBenchMetrics);
  }
  if (options.output === 'svg') {
    const { formatPlot } = await import('../render/benchmark-plot.js');
    return printed(io, formatPlot);
  }
  const render = await import('../render/benchmark.js');
  if (options.json) {
    return {
      progress: {},
      end: (report) => {
        render.renderBench(printer, report);
      },
    };
  }
  const isLive = io.isTerminal?.() === true && supportsEscapes(io.env);
  return {
    progress: isLive
      ? {
          onProgress: (name, { seconds, requests }) => {
            const rate = render.formatRate(requests / Math.max(seconds, 0.001));
            io.stdout(`${eraseLine}${name}: ${seconds.toFixed(1)} s, ${rate}/s`);
          },
        }
      : {},
    end: (report) => {
      io.stdout(`${isLive ? eraseLine : ''}${render.formatBench(report)}`);
    },
  };
}

/** Prints all at the end. */
function printed(io: Io, format: (report: BenchReport) => string): BenchReporter {
  return {
    progress: {},
    end: (report) => {
      io.stdout(format(report));
    },
  };
}
