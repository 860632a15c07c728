import { VdpaCommand } from '../cli/command.js';
import { expectNoMore } from '../cli/grammar.js';
import { machineBus } from '../cli/machine.js';
import { outputOf, type Session } from '../cli/session.js';
import { readActualDevices, toStateFile } from '../host/state/actual.js';
import { JsonPrinter } from '../render/json.js';
import { renderState } from '../render/state.js';

export default class Save extends VdpaCommand {
  static override summary = 'print all devices as a file for vdpa restore and vdpa apply';
  static override usage = ['vdpa save'];

  async execute(session: Session, words: readonly string[]): Promise<void> {
    expectNoMore(words);
    const bus = session.options.sim ? undefined : await machineBus(session);
    const file = toStateFile(await readActualDevices(await session.client(), bus));
    if (session.options.json) {
      renderState(session.printer, file);
      return;
    }
    // A file for people to read and change, which is JSON all the same.
    const printer = new JsonPrinter(outputOf(session.io), { pretty: true });
    renderState(printer, file);
    printer.finish();
  }
}
