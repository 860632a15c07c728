import { reportError } from './report.js';
import { mainHelp } from './help.js';
import type { Io } from './io.js';
import { parseOptions } from './options.js';
import { Session } from './session.js';
import { versionLine } from './version.js';

/**
 * Runs one command line: options, then `execute` with the words that are left.
 * @returns the exit status: 0, or 1 where anything failed. Never rejects
 */
export async function runLine(
  argv: readonly string[],
  io: Io,
  execute: (session: Session, words: readonly string[]) => Promise<void>,
): Promise<number> {
  let status = 0;
  const attempt = async (task: () => Promise<void>): Promise<void> => {
    try {
      await task();
    } catch (error) {
      reportError(error, io);
      status = 1;
    }
  };
  await attempt(async () => {
    const line = parseOptions(argv, io.env);
    if (line.kind === 'version') {
      io.stdout(`${versionLine}\n`);
      return;
    }
    if (line.kind === 'help') {
      io.stderr(`${mainHelp().join('\n')}\n`);
      return;
    }
    const session = new Session(line.options, io);
    await attempt(() => execute(session, line.words));
    await attempt(() => session.end());
  });
  return status;
}
