import { VdpaCommand } from '../../cli/command.js';
import { ReportedError, UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import { machineBus, removalOptions } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { withSignals } from '../../cli/signals.js';
import { supportsEscapes } from '../../cli/terminal.js';
import { checkGroups } from '../../conformance/select.js';
import type { Report, SuiteOptions } from '../../conformance/suite.js';

const keywords = {
  only: {
    placeholder: 'NAME',
    read: (text: string) => text,
    completes: checkGroups,
    help: 'Run only the checks with this name, or whose name begins with it and a dash',
  },
  skip: {
    placeholder: 'NAME',
    read: (text: string) => text,
    completes: checkGroups,
    help: 'Run the others',
  },
  destructive: { read: () => true, help: 'Also do what only a broken driver does' },
} as const satisfies Keywords;

/** Erases the line, and returns to its begin: ECMA-48, EL. */
const eraseLine = '\x1b[2K\r';

export default class DevTest extends VdpaCommand {
  static override summary = 'test whether a vDPA device keeps to the virtio specification';
  static override usage = ['vdpa dev test DEV [ only NAME | skip NAME ] [ destructive ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;
  static override outputs = ['tap', 'junit'] as const;

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined) throw new UsageError(...usageOf([DevTest]));
    const { only, skip, destructive = false } = parseKeywords(keywords, rest);
    if (only !== undefined && skip !== undefined) throw new UsageError('"only" and "skip" are mutually exclusive');
    if (session.options.sim) {
      throw new UsageError('Not supported by the simulated machine, whose devices have no data path to test');
    }
    const [{ allChecks }, { selectChecks }] = await Promise.all([
      import('../../conformance/catalogue.js'),
      import('../../conformance/select.js'),
    ]);
    const checks = selectChecks(allChecks, {
      ...(only !== undefined && { only }),
      ...(skip !== undefined && { skip }),
      hostile: destructive,
    });
    if (checks.length === 0) {
      const hint = destructive ? '' : ' (those of "hostile" need "destructive")';
      throw new UsageError(`No check has the name ${JSON.stringify(only ?? skip)}${hint}: ${checkGroups.join(', ')}`);
    }
    const [{ runChecks }, { withDriver }, output] = await Promise.all([
      import('../../conformance/suite.js'),
      import('../../sysfs/binding.js'),
      reporter(session, name),
    ]);
    const bus = await machineBus(session);
    const report = await withSignals(async (signal) => {
      const options = { ...(await removalOptions(session, name, false)), canForce: false, signal };
      return withDriver(bus, name, 'vhost', options, ({ vhost = '' }) =>
        runChecks(`/dev/${vhost}`, checks, { ...output, signal }),
      );
    });
    if (report.results.length === 0) {
      throw new UsageError(`The checks of ${JSON.stringify(only ?? skip)} are for another type of devices`);
    }
    output.end(report);
    const failed = report.results.filter(({ outcome }) => outcome.kind === 'failed').length;
    if (failed > 0) throw new ReportedError(`${failed} checks failed`);
  }
}

/** How results are printed: in some formats one by one, in others all at the end. */
interface Reporter extends Pick<SuiteOptions, 'onStart' | 'onResult'> {
  readonly end: (report: Report) => void;
}

async function reporter({ options, io, printer }: Session, name: string): Promise<Reporter> {
  const render = await import('../../render/conformance.js');
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
