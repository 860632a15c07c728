import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseOperand } from '../../cli/grammar.js';
import { vduseServers } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';

export default class VduseDel extends VdpaCommand {
  static override summary = 'take a VDUSE device away: off the bus, its server, its instance';
  static override usage = ['vdpa vduse del DEV'];
  static override operand = 'device' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const name = parseOperand(readName, words);
    if (name === undefined) throw new UsageError('Which device? vdpa vduse del DEV');
    const servers = await vduseServers(session);
    await servers.remove(name, async () => {
      const client = await session.client();
      await client.deleteDevice(name);
    });
  }
}
