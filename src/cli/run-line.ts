import { Connection } from './connection.js';
import { mainHelp } from './help.js';
import type { Io } from './io.js';
import { parseOptions, type ParsedLine } from './options.js';
import { choosePrinter } from './printers.js';
import { reportError } from './report.js';
import { Session, outputOf } from './session.js';
import { versionLine } from './version.js';

/** Does what the words of a line ask for, once its options were taken out. */
export type Execute = (session: Session, words: readonly string[]) => Promise<void>;

/** Runs a batch. @returns its exit status. @throws UsageError where there can be none */
export type RunBatch = (batch: Extract<ParsedLine, { kind: 'batch' }>, io: Io) => Promise<number>;

/**
 * Runs one command line: options, then `execute` with the words that are left; or `runBatch` where it names a batch.
 * @returns the exit status: 0, 1 where anything failed, 141 where the reader of the output has gone. Never rejects
 */
export function runLine(argv: readonly string[], io: Io, execute: Execute, runBatch: RunBatch): Promise<number> {
  return attempt(io, async () => {
    const line = parseOptions(argv, io.env);
    if (line.kind === 'version' || line.kind === 'help') return tell(line.kind, io);
    if (line.kind === 'batch') return runBatch(line, io);
    const connection = new Connection(io, line.options);
    const status = await runCommand(line, io, connection, execute);
    return Math.max(status, await close(connection, io));
  });
}

/** Prints the version or the help. @returns the exit status. @throws OutputError */
export function tell(what: 'version' | 'help', io: Io): number {
  if (what === 'version') io.stdout(`${versionLine}\n`);
  else io.stderr(`${mainHelp().join('\n')}\n`);
  return 0;
}

/** Runs a command and ends its output, whatever comes of it. @returns the exit status. Never rejects */
export function runCommand(
  { options, words }: Extract<ParsedLine, { kind: 'command' }>,
  io: Io,
  connection: Connection,
  execute: Execute,
): Promise<number> {
  return attempt(io, async () => {
    const session = new Session(options, io, connection, await choosePrinter(options, io, outputOf(io)));
    const status = await attempt(io, async () => {
      await execute(session, words);
      return 0;
    });
    const ended = await attempt(io, () => {
      session.end();
      return 0;
    });
    return Math.max(status, ended);
  });
}

/** Gives the socket back. @returns the exit status. Never rejects */
export function close(connection: Connection, io: Io): Promise<number> {
  return attempt(io, async () => {
    await connection.close();
    return 0;
  });
}

/** Does something and tells the user where it fails. @returns the exit status: the task's own, or that of its failure */
export async function attempt(io: Io, task: () => number | Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    return reportError(error, io);
  }
}
