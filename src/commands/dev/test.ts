import { VdpaCommand } from '../../cli/command.js';
import { ReportedError, UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import { machineBus, removalOptions } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { withSignals } from '../../cli/signals.js';
import { checkGroups } from '../../conformance/select.js';

const keywords = {
  only: {
    placeholder: 'NAME',
    read: (text: string) => text,
    completes: 'check',
    help: 'Run only the checks with this name, or whose name begins with it and a dash',
  },
  skip: {
    placeholder: 'NAME',
    read: (text: string) => text,
    completes: 'check',
    help: 'Run the others',
  },
  peer: {
    placeholder: 'NETDEV',
    read: (text: string) => text,
    help: 'The interface to which a network device is connected: packets are sent back from there',
  },
  destructive: { read: () => true, help: 'Also do what only a broken driver does' },
} as const satisfies Keywords;

export default class DevTest extends VdpaCommand {
  static override summary = 'test whether a vDPA device keeps to the virtio specification';
  static override usage = ['vdpa dev test DEV [ only NAME | skip NAME ] [ peer NETDEV ] [ destructive ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;
  static override outputs = ['tap', 'junit'] as const;

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined) throw new UsageError(...usageOf([DevTest]));
    const { only, skip, peer, destructive = false } = parseKeywords(keywords, rest);
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
    const [{ runChecks }, { withDriver }, { reporter }] = await Promise.all([
      import('../../conformance/suite.js'),
      import('../../sysfs/binding.js'),
      import('../../cli/conformance-output.js'),
    ]);
    const output = await reporter(session, name);
    const bus = await machineBus(session);
    const report = await withSignals(async (signal) => {
      const options = { ...(await removalOptions(session, name, false)), canForce: false, signal };
      return withDriver(bus, name, 'vhost', options, ({ vhost = '' }) =>
        runChecks(`/dev/${vhost}`, checks, { ...output, ...(peer !== undefined && { peer }), signal }),
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
