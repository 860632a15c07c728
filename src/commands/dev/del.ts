import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { machineBus, removalOptions, vduseServers } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';

const keywords = { force: { read: () => true } } as const satisfies Keywords;

export default class DevDel extends VdpaCommand {
  static override summary = 'delete a vDPA device';
  static override usage = ['vdpa dev del DEV [ force ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, [operand, ...rest]: readonly string[]): Promise<void> {
    if (operand === undefined) throw new UsageError('String parameter expected');
    const name = readName(operand);
    const { force = false } = parseKeywords(keywords, rest);
    const client = await session.client();
    const { deleteDevice } = await import('../../host/delete-device.js');
    const bus = await machineBus(session);
    await deleteDevice(client, bus, name, await removalOptions(session, name, force));
    // A server of vdpa has nothing left to do.
    await (await vduseServers(session)).end(name);
  }
}
