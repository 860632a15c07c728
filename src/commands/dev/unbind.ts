import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import { removalOptions, machineBus } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';

const keywords = { force: { read: () => true } } as const satisfies Keywords;

export default class DevUnbind extends VdpaCommand {
  static override summary = 'unbind a vDPA device from its driver';
  static override usage = ['vdpa dev unbind DEV [ force ]'];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined) throw new UsageError(...usageOf([DevUnbind]));
    const { force = false } = parseKeywords(keywords, rest);
    const bus = await machineBus(session);
    const { unbindDriver } = await import('../../sysfs/binding.js');
    await unbindDriver(bus, name, await removalOptions(session, name, force));
  }
}
