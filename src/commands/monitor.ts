import { VdpaCommand } from '../cli/command.js';
import { UsageError } from '../cli/error.js';
import { expectNoMore } from '../cli/grammar.js';
import { usageOf } from '../cli/help.js';
import { machineBus, machineEvents } from '../cli/machine.js';
import type { Session } from '../cli/session.js';
import { VdpaMonitor, type MonitorOptions } from '../host/monitor.js';
import { renderEvent } from '../render/event.js';
import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import { TextPrinter } from '../render/text.js';

export default class Monitor extends VdpaCommand {
  static override summary = 'print device events until interrupted';
  static override usage = ['vdpa monitor [ all | dev | mgmtdev ]'];
  static override operand = ['all', 'dev', 'mgmtdev'] as const;

  async execute(session: Session, [object = 'all', ...rest]: readonly string[]): Promise<void> {
    if (object !== 'all' && object !== 'dev' && object !== 'mgmtdev') throw new UsageError(...usageOf([Monitor]));
    expectNoMore(rest);
    const { json, pretty, timestamp } = session.options;
    const transport = await machineEvents(session);
    const options: MonitorOptions = {
      ...(transport && { transport }),
      bus: await machineBus(session),
      client: await session.client(),
      ...(object !== 'all' && { object }),
    };
    const output = new Output((text) => {
      session.io.stdout(text);
    });
    for await (const event of await VdpaMonitor.open(options)) {
      // One document per event, written when it happens.
      const printer = json ? new JsonPrinter(output, { pretty }) : new TextPrinter(output);
      renderEvent(printer, event, { timestamp });
      printer.finish();
    }
  }
}
