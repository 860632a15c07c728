import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { expectNoMore } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';

export default class DevDel extends VdpaCommand {
  static override summary = 'delete a vdpa device';
  static override usage = ['vdpa dev del DEV'];

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined) throw new UsageError('String parameter expected');
    expectNoMore(rest);
    const client = await session.client();
    await client.deleteDevice(name);
  }
}
