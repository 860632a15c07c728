import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import type { Session } from '../../cli/session.js';
import { withSignals } from '../../cli/signals.js';
import { readNumber } from '../../cli/values.js';
import { holdPart } from '../../sim/hold.js';
import { sleep } from '../../sys/wait.js';

const keywords = {
  for: { placeholder: 'SECONDS', read: readNumber('for', 0, 86_400), help: 'Seconds until it ends; by default never' },
} as const satisfies Keywords;

/** The longest time that a timer of Node.js measures, in milliseconds. */
const FOREVER = 2 ** 31 - 1;

export default class SimHold extends VdpaCommand {
  static override summary = 'use a device of the simulated machine, as a program would, until interrupted';
  static override usage = ['vdpa sim hold { DEV | NODE | NETDEV } [ for SECONDS ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, [wanted, ...rest]: readonly string[]): Promise<void> {
    if (wanted === undefined) throw new UsageError(...usageOf([SimHold]));
    const { for: seconds } = parseKeywords(keywords, rest);
    await withSignals(async (signal) => {
      const held = await holdPart(await session.simulation(), wanted);
      try {
        session.io.stderr(`Process ${process.pid} holds ${held.what}.\n`);
        await sleep(seconds === undefined ? FOREVER : seconds * 1000, signal);
      } finally {
        held.release();
      }
    });
  }
}
