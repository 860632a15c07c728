import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { renderDevice } from '../../render/device.js';

export default class DevShow extends VdpaCommand {
  static override summary = 'show vdpa devices';
  static override usage = ['vdpa dev show [ DEV ]'];

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    expectNoMore(rest);
    await session.show('dev', (client, printer, restart) =>
      client.eachDevice(
        name,
        (item) => {
          renderDevice(printer, item);
        },
        restart,
      ),
    );
  }
}
