import { VdpaCommand } from '../../cli/command.js';
import { parseOperand } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readHandle } from '../../cli/values.js';
import { renderManagementDevice } from '../../render/mgmtdev.js';

export default class MgmtdevShow extends VdpaCommand {
  static override summary = 'show management devices';
  static override tables = true;
  static override usage = ['vdpa mgmtdev show [ DEV ]'];
  static override operand = 'management device' as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const handle = parseOperand(readHandle, args);
    await session.show('mgmtdev', (client, printer, restart) =>
      client.eachManagementDevice(
        handle,
        (item) => {
          renderManagementDevice(printer, item);
        },
        { onRestart: restart },
      ),
    );
  }
}
