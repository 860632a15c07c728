import { VdpaCommand } from '../../../cli/command.js';
import { expectNoMore } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { renderDeviceFeatures } from '../../../render/features.js';

export default class DevFeaturesShow extends VdpaCommand {
  static override summary = 'show which features vdpa devices offer, and which their drivers accepted and left out';
  static override usage = ['vdpa dev features show [ DEV ]'];

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    expectNoMore(rest);
    await session.show('features', (client, printer, restart) =>
      client.eachDeviceConfig(
        name,
        (config) => {
          renderDeviceFeatures(printer, config);
        },
        restart,
      ),
    );
  }
}
