import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';

export default class DevDel extends VdpaCommand {
  static override summary = 'delete a vdpa device';
  static override usage = ['vdpa dev del DEV'];
  static override operand = 'device' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const name = parseOperand(readName, words);
    if (name === undefined) throw new UsageError('String parameter expected');
    const client = await session.client();
    await client.deleteDevice(name);
  }
}
