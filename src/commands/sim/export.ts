import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { expectNoMore } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import type { Session } from '../../cli/session.js';
import { exportFiles } from '../../sim/machine/files/export.js';
import { rootDirectory } from '../../sim/machine/files/root.js';

export default class SimExport extends VdpaCommand {
  static override summary = 'write /sys and /dev of the simulated machine as files';
  static override usage = ['vdpa sim export DIR'];
  static override operand = 'file' as const;

  async execute(session: Session, [folder, ...rest]: readonly string[]): Promise<void> {
    if (folder === undefined) throw new UsageError(...usageOf([SimExport]));
    expectNoMore(rest);
    const { store, uid } = await session.simulation();
    exportFiles(rootDirectory(store.read(), { uid }), folder);
  }
}
