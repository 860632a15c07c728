import { VdpaCommand } from '../../../cli/command.js';
import { parseOperand } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { readName } from '../../../cli/values.js';
import { renderDeviceFeatures } from '../../../render/features.js';

export default class DevFeaturesShow extends VdpaCommand {
  static override summary = 'show the features that vDPA devices offer, and those that drivers accepted and declined';
  static override tables = true;
  static override usage = ['vdpa dev features show [ DEV ]'];
  static override operand = 'device' as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const name = parseOperand(readName, args);
    await session.show('features', async (client, printer) => {
      // The kernel's list of all devices may end early.
      const configs = name === undefined ? await client.deviceConfigs() : [await client.deviceConfig(name)];
      for (const config of configs) renderDeviceFeatures(printer, config);
    });
  }
}
