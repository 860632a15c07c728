/** The output of `vdpa dev test`, in its formats. */
import type { Report, SuiteOptions } from '../conformance/suite.js';
import type { Session } from './session.js';
import { supportsEscapes } from './terminal.js';

/** Erases the line, and returns to its begin: ECMA-48, EL. */
const eraseLine = '\x1b[2K\r';

/** How results are printed: in some formats one by one, in others all at the end. */
export interface Reporter extends Pick<SuiteOptions, 'onStart' | 'onResult'> {
  readonly end: (report: Report) => void;
}

/** Prints results in the format of the command line. @param name the device */
export async function reporter({ options, io, printer }: Session, name: string): Promise<Reporter> {
  const render = await import('../render/conformance.js');
  if (options.output === 'junit') {
    return {
      end: (report) => {
        io.stdout(render.formatJunit(name, report));
      },
    };
  }
  if (options.output === 'tap') {
    let number = 0;
    io.stdout(render.tapHeader);
    return {
      onResult: (result) => {
        io.stdout(render.formatTap(result, ++number));
      },
      end: (report) => {
        io.stdout(render.tapTrailer(report));
      },
    };
  }
  if (options.json) {
    return {
      end: (report) => {
        render.renderReport(printer, name, report);
      },
    };
  }
  const isLive = io.isTerminal?.() === true && supportsEscapes(io.env);
  return {
    ...(isLive && {
      onStart: (check, index, count) => {
        io.stdout(`${index + 1}/${count} ${check.name}`);
      },
    }),
    onResult: (result) => {
      io.stdout(`${isLive ? eraseLine : ''}${render.formatResult(result)}`);
    },
    end: (report) => {
      io.stdout(render.formatSummary(report));
    },
  };
}
