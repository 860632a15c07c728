import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import { vduseServers } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';
import { renderVduseInstance } from '../../render/vduse.js';

export default class VduseShow extends VdpaCommand {
  static override summary = 'show VDUSE devices and their servers';
  static override usage = ['vdpa vduse show [ DEV ]'];
  static override operand = 'device' as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const name = parseOperand(readName, args);
    const instances = await (await vduseServers(session)).list(name);
    if (name !== undefined && instances.length === 0) throw new UsageError(`No VDUSE instance named ${name}`);
    session.printer.openSection('vduse');
    for (const instance of instances) renderVduseInstance(session.printer, instance);
    session.printer.closeSection();
  }
}
