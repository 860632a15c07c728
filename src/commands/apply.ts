import { applyState } from '../cli/apply-state.js';
import { VdpaCommand } from '../cli/command.js';
import { UsageError } from '../cli/error.js';
import { parseKeywords, type Keywords } from '../cli/grammar.js';
import { usageOf } from '../cli/help.js';
import type { Session } from '../cli/session.js';

const flag = { read: () => true } as const;

const keywords = { dry_run: flag, prune: flag, force: flag } as const satisfies Keywords;

export default class Apply extends VdpaCommand {
  static override summary = 'make the devices of this machine match a state file';
  static override usage = ['vdpa apply FILE [ dry_run ] [ prune ] [ force ]'];
  static override operand = 'file' as const;
  static override keywords = keywords;

  async execute(session: Session, [file, ...rest]: readonly string[]): Promise<void> {
    if (file === undefined) throw new UsageError(...usageOf([Apply]));
    const { dry_run: dryRun = false, prune = false, force = false } = parseKeywords(keywords, rest);
    await applyState(session, file, { dryRun, prune, force });
  }
}
