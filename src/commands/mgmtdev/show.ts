import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readHandle } from '../../cli/values.js';
import { renderManagementDevice } from '../../render/mgmtdev.js';

export default class MgmtdevShow extends VdpaCommand {
  static override summary = 'show management devices';
  static override usage = ['vdpa mgmtdev show [ DEV ]'];

  async execute(session: Session, [name, ...rest]: readonly string[]): Promise<void> {
    const handle = name === undefined ? undefined : readHandle(name);
    expectNoMore(rest);
    await session.show('mgmtdev', (client, printer, restart) =>
      client.eachManagementDevice(
        handle,
        (item) => {
          renderManagementDevice(printer, item);
        },
        restart,
      ),
    );
  }
}
