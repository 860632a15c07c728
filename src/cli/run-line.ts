import { reportError } from './report.js';
import { mainHelp } from './help.js';
import type { Io } from './io.js';
import { parseOptions } from './options.js';
import { Session } from './session.js';
import { versionLine } from './version.js';

/**
 * Runs one command line: options, then `execute` with the words that are left.
 * @returns the exit status: 0, or 1 where anything failed
 */
export async function runLine(
  argv: readonly string[],
  io: Io,
  execute: (session: Session, words: readonly string[]) => Promise<void>,
): Promise<number> {
  let session: Session | undefined;
  let status = 0;
  try {
    const line = parseOptions(argv, io.env);
    if (line.kind === 'version') {
      io.stdout(`${versionLine}\n`);
      return 0;
    }
    if (line.kind === 'help') {
      io.stderr(`${mainHelp.join('\n')}\n`);
      return 0;
    }
    session = new Session(line.options, io);
    await execute(session, line.words);
  } catch (error) {
    reportError(error, io);
    status = 1;
  } finally {
    session?.printer.finish();
    await session?.close();
  }
  return status;
}
