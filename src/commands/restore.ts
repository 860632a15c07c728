import { VdpaCommand } from '../cli/command.js';
import { UsageError } from '../cli/error.js';
import { parseKeywords, type Keywords } from '../cli/grammar.js';
import { usageOf } from '../cli/help.js';
import { restoreState } from '../cli/restore-state.js';
import type { Session } from '../cli/session.js';
import { readNumber } from '../cli/values.js';

/** A day, in seconds. */
const longestWait = 86_400;

const keywords = {
  wait: { placeholder: 'SECONDS', read: readNumber('wait', 0, longestWait) },
} as const satisfies Keywords;

export default class Restore extends VdpaCommand {
  static override summary = 'create the devices of a state file that do not exist';
  static override usage = ['vdpa restore FILE [ wait SECONDS ]'];
  static override operand = 'file' as const;
  static override keywords = keywords;

  async execute(session: Session, [file, ...rest]: readonly string[]): Promise<void> {
    if (file === undefined) throw new UsageError(...usageOf([Restore]));
    const { wait = 0 } = parseKeywords(keywords, rest);
    await restoreState(session, file, wait);
  }
}
