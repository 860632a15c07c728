import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { expectNoMore } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import type { Session } from '../../cli/session.js';

export default class SimExport extends VdpaCommand {
  static override summary = 'write /sys and /dev of the simulated machine as files';
  static override usage = ['vdpa sim export DIR'];
  static override operand = 'file' as const;

  async execute(session: Session, [folder, ...rest]: readonly string[]): Promise<void> {
    if (folder === undefined) throw new UsageError(...usageOf([SimExport]));
    expectNoMore(rest);
    await (await session.simulation()).export(folder);
  }
}
