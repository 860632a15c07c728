import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { machineBus, removalOptions, vduseServers } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';

const keywords = { force: { read: () => true } } as const satisfies Keywords;

export default class VduseDel extends VdpaCommand {
  static override summary = 'delete a VDUSE device, stop its server and destroy its instance';
  static override usage = ['vdpa vduse del DEV [ force ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, [operand, ...rest]: readonly string[]): Promise<void> {
    if (operand === undefined) throw new UsageError('Missing device name: vdpa vduse del DEV');
    const name = readName(operand);
    const { force = false } = parseKeywords(keywords, rest);
    const servers = await vduseServers(session);
    await servers.remove(name, async () => {
      const { deleteDevice } = await import('../../host/delete-device.js');
      const bus = await machineBus(session);
      await deleteDevice(await session.client(), bus, name, await removalOptions(session, name, force));
    });
  }
}
