import { VdpaCommand } from '../cli/command.js';
import { expectNoMore } from '../cli/grammar.js';
import { machineBus, vduseServers } from '../cli/machine.js';
import { outputOf, type Session } from '../cli/session.js';
import { readActualDevices, toStateFile } from '../host/state/actual.js';
import { JsonPrinter } from '../render/json.js';
import { renderState } from '../render/state.js';
import type { VduseInstance } from '../vduse/service/servers.js';

export default class Save extends VdpaCommand {
  static override summary = 'print all devices as a file for vdpa restore and vdpa apply';
  static override usage = ['vdpa save'];

  async execute(session: Session, words: readonly string[]): Promise<void> {
    expectNoMore(words);
    const bus = session.options.sim ? undefined : await machineBus(session);
    const devices = await readActualDevices(await session.client(), bus);
    const instances = await (await vduseServers(session)).list();
    const file = toStateFile(devices, instances);
    for (const instance of instances) warn(session, instance);
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

/** Tells of what a file cannot keep, and what to do about it. */
function warn(session: Session, instance: VduseInstance): void {
  const { name, served } = instance;
  const attached = served === 'here' ? instance.status.attached : instance.attached;
  const missing = attached ? `the server of ${name}` : name;
  const isKept = attached ? undefined : `it is not attached; "vdpa dev add mgmtdev vduse name ${name}" does that`;
  const reason = {
    here: isKept,
    starting: isKept,
    silent: 'it does not answer',
    elsewhere: 'another program serves it, and has to be started again before "vdpa restore"',
    nobody: `it has died; "vdpa vduse serve" starts another, or "vdpa vduse del ${name}" takes all away`,
  }[served];
  if (reason !== undefined) session.io.stderr(`Warning: ${missing} is not saved: ${reason}.\n`);
}
