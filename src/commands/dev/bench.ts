import type { LoadRequest } from '../../benchmark/load.js';
import { blockPatterns, overwrites } from '../../benchmark/patterns.js';
import type { BenchTarget } from '../../benchmark/run.js';
import { benchReporter } from '../../cli/benchmark-output.js';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import { machineBus, removalOptions } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { withSignals } from '../../cli/signals.js';
import { readChoice, readName, readNumber, readSize } from '../../cli/values.js';

const keywords = {
  against: {
    placeholder: 'DEV',
    read: readName,
    completes: 'device',
    help: 'Measure another device in turn, and compare both',
  },
  rw: {
    placeholder: blockPatterns.join('|'),
    read: readChoice('rw', blockPatterns),
    completes: blockPatterns,
    help: 'Of a disk: read or write, in order or at random, or both; randread by default',
  },
  bs: { placeholder: 'SIZE', read: readSize, help: 'Bytes of a request, or of a packet; 4096 and 64 by default' },
  depth: {
    placeholder: 'N',
    read: readNumber('depth', 1, 1024),
    help: 'Requests in flight on each queue; 32 by default',
  },
  queues: { placeholder: 'N', read: readNumber('queues', 1, 32), help: 'Queues of a disk; 1 by default' },
  time: { placeholder: 'SECONDS', read: readNumber('time', 1, 86_400), help: 'How long to measure; 5 by default' },
  destructive: { read: () => true, help: 'Permit to overwrite the data of a disk' },
} as const satisfies Keywords;

const DEFAULT_SECONDS = 5;

export default class DevBench extends VdpaCommand {
  static override summary = 'measure how fast a vDPA device is';
  static override usage = [
    'vdpa dev bench DEV [ against DEV ] [ rw { read | write | randread | randwrite | rw | randrw } ]',
    '                   [ bs SIZE ] [ depth N ] [ queues N ] [ time SECONDS ] [ destructive ]',
  ];
  static override operand = 'device' as const;
  static override keywords = keywords;
  static override outputs = ['openmetrics', 'svg'] as const;

  async execute(session: Session, [operand, ...rest]: readonly string[]): Promise<void> {
    if (operand === undefined) throw new UsageError(...usageOf([DevBench]));
    const name = readName(operand);
    const values = parseKeywords(keywords, rest);
    const { against, rw, bs, depth, queues, time = DEFAULT_SECONDS, destructive = false } = values;
    if (against === name) throw new UsageError(`${JSON.stringify(name)} cannot be compared with itself`);
    if (rw !== undefined && overwrites(rw) && !destructive) {
      throw new UsageError(`"rw ${rw}" overwrites the data of the device: permit that with "destructive"`);
    }
    if (session.options.sim) {
      throw new UsageError('Not supported by the simulated machine, whose devices have no data path to measure');
    }
    const request: LoadRequest = {
      ...(rw !== undefined && { pattern: rw }),
      ...(bs !== undefined && { blockSize: bs }),
      ...(depth !== undefined && { depth }),
      ...(queues !== undefined && { queues }),
    };
    const { measure, sweep } = await import('../../benchmark/run.js');
    const output = await benchReporter(session);
    const run = session.options.output === 'svg' ? sweep : measure;
    const names = [name, ...(against === undefined ? [] : [against])];
    const report = await withSignals((signal) =>
      withNodes(session, names, signal, (targets) =>
        run(targets, request, { seconds: time, signal, ...output.progress }),
      ),
    );
    output.end(report);
  }
}

/** Binds devices to vhost_vdpa for a task. */
async function withNodes<Result>(
  session: Session,
  [name, ...others]: readonly string[],
  signal: AbortSignal,
  task: (targets: readonly BenchTarget[]) => Promise<Result>,
): Promise<Result> {
  if (name === undefined) return task([]);
  const { withDriver } = await import('../../sysfs/binding.js');
  const bus = await machineBus(session);
  const options = { ...(await removalOptions(session, name, false)), canForce: false, signal };
  return withDriver(bus, name, 'vhost', options, ({ vhost = '' }) =>
    withNodes(session, others, signal, (targets) => task([{ name, node: `/dev/${vhost}` }, ...targets])),
  );
}
