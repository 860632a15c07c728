import { Connection } from './connection.js';
import type { Io } from './io.js';
import { parseOptions, type ParsedLine } from './options.js';
import { choosePrinter } from './printers.js';
import { reportError } from './report.js';
import { Session, outputOf } from './session.js';

/** Defined by the build from package.json. */
declare const VDPA_VERSION: string;

/** The output of `vdpa -V`. */
export const versionLine = `vdpa utility, vdpa-${VDPA_VERSION}`;

/** Runs the arguments of a line, after its options were removed. */
export type Execute = (session: Session, args: readonly string[]) => Promise<void>;

/** What a line can do. */
export interface Ways {
  readonly execute: Execute;
  /** Runs a batch. @returns its exit status. @throws UsageError if it is not supported */
  readonly runBatch: (batch: Extract<ParsedLine, { kind: 'batch' }>, io: Io) => Promise<number>;
  /** The help of what the arguments name. */
  readonly helpOn: (args: readonly string[]) => Promise<string[]>;
}

/**
 * Runs one command line: its options, then its arguments.
 * @returns the exit status: 0, 1 for a failure, 141 if the reader of the output is gone. Never rejects
 */
export function runLine(argv: readonly string[], io: Io, { execute, runBatch, helpOn }: Ways): Promise<number> {
  return attempt(io, async () => {
    const line = parseOptions(argv, io.env);
    if (line.kind === 'version') return printVersion(io);
    if (line.kind === 'help') return printHelp(await helpOn(line.args), io);
    if (line.kind === 'batch') return runBatch(line, io);
    const connection = new Connection(io, line.options);
    const status = await runCommand(line, io, connection, execute);
    return Math.max(status, await close(connection, io));
  });
}

/** Prints the version. @returns the exit status. @throws OutputError */
export function printVersion(io: Io): number {
  io.stdout(`${versionLine}\n`);
  return 0;
}

/** Prints lines of help, to stderr like iproute2. @returns the exit status */
export function printHelp(lines: readonly string[], io: Io): number {
  io.stderr(`${lines.join('\n')}\n`);
  return 0;
}

/** Runs a command and ends its output, even if it fails. @returns the exit status. Never rejects */
export function runCommand(
  { options, args }: Extract<ParsedLine, { kind: 'command' }>,
  io: Io,
  connection: Connection,
  execute: Execute,
): Promise<number> {
  return attempt(io, async () => {
    const session = new Session(options, io, connection, await choosePrinter(options, io, outputOf(io)));
    const status = await attempt(io, async () => {
      await execute(session, args);
      return 0;
    });
    const ended = await attempt(io, () => {
      session.end();
      return 0;
    });
    return Math.max(status, ended);
  });
}

/** Closes the socket. @returns the exit status. Never rejects */
export function close(connection: Connection, io: Io): Promise<number> {
  return attempt(io, async () => {
    await connection.close();
    return 0;
  });
}

/** Runs a task and reports its failure. @returns the exit status: that of the task, or of its failure */
export async function attempt(io: Io, task: () => number | Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    return reportError(error, io);
  }
}
