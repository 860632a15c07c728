import { VdpaCommand } from '../cli/command.js';
import { expectNoMore } from '../cli/grammar.js';
import { machineBus } from '../cli/machine.js';
import type { Session } from '../cli/session.js';
import { readActualDevices, toStateFile } from '../host/state/actual.js';

export default class Save extends VdpaCommand {
  static override summary = 'print all devices as a file for vdpa restore and vdpa apply';
  static override usage = ['vdpa save'];

  async execute(session: Session, words: readonly string[]): Promise<void> {
    expectNoMore(words);
    const bus = session.options.sim ? undefined : await machineBus(session);
    const file = toStateFile(await readActualDevices(await session.client(), bus));
    // It is JSON whatever the options say; they only choose how it is laid out.
    const { json, pretty } = session.options;
    session.io.stdout(`${JSON.stringify(file, null, json && !pretty ? undefined : 2)}\n`);
  }
}
