import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';
import { isAttached, removeInstance } from '../../vduse/service/catalogue.js';

export default class VduseDel extends VdpaCommand {
  static override summary = 'take a VDUSE device away: off the bus, its server, its instance';
  static override usage = ['vdpa vduse del DEV'];
  static override operand = 'device' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const name = parseOperand(readName, words);
    if (name === undefined) throw new UsageError('Which device? vdpa vduse del DEV');
    if (isAttached(name)) {
      const client = await session.client();
      await client.deleteDevice(name);
    }
    await removeInstance(name);
  }
}
