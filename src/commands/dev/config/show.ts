import { VdpaCommand } from '../../../cli/command.js';
import { expectNoMore } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { renderDeviceConfig } from '../../../render/config.js';

export default class DevConfigShow extends VdpaCommand {
  static override summary = 'show the configuration of vdpa devices';
  static override usage = ['vdpa dev config show [ DEV ]'];

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    expectNoMore(rest);
    await session.show('config', (client, printer, restart) =>
      client.eachDeviceConfig(
        name,
        (item) => {
          renderDeviceConfig(printer, item);
        },
        restart,
      ),
    );
  }
}
