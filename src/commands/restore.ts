import { applyState } from '../cli/apply-state.js';
import { VdpaCommand } from '../cli/command.js';
import { UsageError } from '../cli/error.js';
import { expectNoMore } from '../cli/grammar.js';
import { usageOf } from '../cli/help.js';
import type { Session } from '../cli/session.js';

export default class Restore extends VdpaCommand {
  static override summary = 'make the devices that a file of vdpa save tells of, and leave others alone';
  static override usage = ['vdpa restore FILE'];
  static override operand = 'file' as const;

  async execute(session: Session, [file, ...rest]: readonly string[]): Promise<void> {
    if (file === undefined) throw new UsageError(...usageOf([Restore]));
    expectNoMore(rest);
    await applyState(session, file, { dryRun: false, prune: false, force: false });
  }
}
