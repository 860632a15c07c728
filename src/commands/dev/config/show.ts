import { VdpaCommand } from '../../../cli/command.js';
import { parseOperand } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { readName } from '../../../cli/values.js';
import { renderDeviceConfig } from '../../../render/config.js';

export default class DevConfigShow extends VdpaCommand {
  static override summary = 'show the configuration of vDPA devices';
  static override tables = true;
  static override usage = ['vdpa dev config show [ DEV ]'];
  static override operand = 'device' as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const name = parseOperand(readName, args);
    await session.show('config', (client, printer, restart) =>
      client.eachDeviceConfig(
        name,
        (item) => {
          renderDeviceConfig(printer, item);
        },
        { onRestart: restart },
      ),
    );
  }
}
