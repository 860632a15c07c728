import { VdpaCommand } from '../../cli/command.js';
import { ReportedError, UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { readMachine } from '../../cli/machine-file.js';
import type { Session } from '../../cli/session.js';
import { runSimulated } from '../../sim/run.js';
import { defaultMachine } from '../../sim/state/default-machine.js';

const keywords = {
  machine: {
    placeholder: 'FILE',
    read: (text: string) => text,
    completes: 'file',
    help: 'Description of the machine, as for sim init; by default the default machine',
  },
  record: {
    placeholder: 'FILE',
    read: (text: string) => text,
    completes: 'file',
    help: 'Write every request and answer to this file, as JSON lines',
  },
  export: {
    placeholder: 'DIR',
    read: (text: string) => text,
    completes: 'file',
    help: 'Keep /sys and /dev of the machine as files in this directory, which SYSFS_ROOT names',
  },
} as const satisfies Keywords;

export default class SimRun extends VdpaCommand {
  static override summary = 'run a command on a simulated machine of its own';
  static override usage = ['vdpa sim run [ machine FILE ] [ record FILE ] [ export DIR ] -- COMMAND [ ARGUMENTS ]'];
  static override keywords = keywords;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const { own, line } = split(args, session.options.literal);
    const { machine, record, export: exportTo } = parseKeywords(keywords, own);
    const [command, ...rest] = line;
    if (command === undefined) throw new UsageError('"--" and a command are required: vdpa sim run -- COMMAND');
    const status = await runSimulated({
      machine: machine === undefined ? defaultMachine : readMachine(machine),
      command,
      args: rest,
      environment: session.io.env,
      onFailure: (message) => {
        session.io.stderr(`${message}\n`);
      },
      ...(record !== undefined && { record }),
      ...(exportTo !== undefined && { exportTo }),
    });
    if (status !== 0) throw new ReportedError(`${command} failed`, { status });
  }
}

/**
 * Splits the arguments at `--`. @param literal the number of arguments after it, if the parser of options removed it: with
 *   POSIXLY_CORRECT it does not
 */
function split(
  args: readonly string[],
  literal: number | undefined,
): { own: readonly string[]; line: readonly string[] } {
  if (literal !== undefined)
    return { own: args.slice(0, args.length - literal), line: args.slice(args.length - literal) };
  const at = args.indexOf('--');
  return at === -1 ? { own: args, line: [] } : { own: args.slice(0, at), line: args.slice(at + 1) };
}
