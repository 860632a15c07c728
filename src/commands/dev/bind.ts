import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import { removalOptions, machineBus } from '../../cli/machine.js';
import { nodeKeywords, nodeUsage, readNodeAccess } from '../../cli/node-access.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';

const keywords = {
  driver: {
    placeholder: 'DRIVER',
    read: readName,
    missing: 'driver is not set.',
    completes: ['vhost', 'virtio'],
  },
  ...nodeKeywords,
  force: { read: () => true },
} as const satisfies Keywords;

export default class DevBind extends VdpaCommand {
  static override summary = 'bind a vDPA device to a driver';
  static override usage = [
    'vdpa dev bind DEV driver { vhost | virtio | NAME }',
    `                  ${nodeUsage} [ force ]`,
  ];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined) throw new UsageError(...usageOf([DevBind]));
    const values = parseKeywords(keywords, rest);
    const { driver, force = false } = values;
    const access = await readNodeAccess(values, driver);
    const bus = await machineBus(session);
    const { bindDriver } = await import('../../sysfs/binding.js');
    await bindDriver(bus, name, driver, { ...(await removalOptions(session, name, force)), ...(access && { access }) });
  }
}
