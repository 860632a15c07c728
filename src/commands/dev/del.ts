import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';
import { mayHaveServer } from '../../vduse/service/runtime-path.js';

export default class DevDel extends VdpaCommand {
  static override summary = 'delete a vdpa device';
  static override usage = ['vdpa dev del DEV'];
  static override operand = 'device' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const name = parseOperand(readName, words);
    if (name === undefined) throw new UsageError('String parameter expected');
    const client = await session.client();
    await client.deleteDevice(name);
    // A server of ours has nothing more to do.
    if (session.options.sim || !mayHaveServer(name)) return;
    const { endServer } = await import('../../vduse/service/catalogue.js');
    await endServer(name);
  }
}
