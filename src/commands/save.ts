import { VdpaCommand } from '../cli/command.js';
import { IncompleteError } from '../cli/error.js';
import { expectNoMore } from '../cli/grammar.js';
import { machineBus, vduseServers } from '../cli/machine.js';
import { replaceFile } from '../cli/replace-file.js';
import type { Session } from '../cli/session.js';
import { withSignals } from '../cli/signals.js';
import { readActualDevices, toStateFile, type ActualDevice } from '../host/state/actual.js';
import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import { renderState } from '../render/state.js';
import { Errno } from '../sys/errno.js';
import type { VduseInstance } from '../vduse/daemon/servers.js';

export default class Save extends VdpaCommand {
  static override summary = 'save all devices, for vdpa restore and vdpa apply';
  static override usage = ['vdpa save [ FILE ]'];
  static override operand = 'file' as const;

  async execute(session: Session, [file, ...rest]: readonly string[]): Promise<void> {
    expectNoMore(rest);
    const bus = await machineBus(session);
    const devices = await readActualDevices(await session.client(), bus);
    const instances = await (await vduseServers(session)).list();
    const state = toStateFile(devices, instances);
    for (const instance of instances) warn(session, instance);
    const { secret, unread } = unknownOf(devices);
    const isWritten = file !== undefined && file !== '-';
    if (isWritten && unread.length > 0) {
      throw new IncompleteError([...secret, ...unread, `${file} was not changed.`]);
    }
    if (isWritten) {
      // A signal leaves no incomplete file.
      await withSignals(() => {
        replaceFile(file, toText(state));
        return Promise.resolve();
      });
    } else if (session.options.json) renderState(session.printer, state);
    else session.io.stdout(toText(state));
    const lines = [...secret, ...unread];
    if (lines.length > 0) throw new IncompleteError(lines);
  }
}

/** A file to be read and edited, in JSON for any output format. */
function toText(state: ReturnType<typeof toStateFile>): string {
  let text = '';
  const printer = new JsonPrinter(
    new Output((part) => {
      text += part;
    }),
    { pretty: true },
  );
  renderState(printer, state);
  printer.finish();
  return text;
}

/**
 * Human-readable notes on unknown configurations of devices.
 * @returns `secret`: those that the kernel never reports for such a device; `unread`: those that it reports at other
 * times
 */
function unknownOf(devices: readonly ActualDevice[]): { readonly secret: string[]; readonly unread: string[] } {
  const secret: string[] = [];
  const unread: string[] = [];
  for (const { device, unknownConfig: error } of devices) {
    if (!error) continue;
    const { name, deviceId } = device;
    if (error.errno !== Errno.EOPNOTSUPP) {
      unread.push(`The configuration of ${name} is not saved: ${error.message}`);
    } else {
      secret.push(
        `The features of ${name} are not saved: the kernel does not report the configuration of devices of class ${deviceId}`,
      );
    }
  }
  return { secret, unread };
}

/** Warns about what a file does not contain, and what to do about it. */
function warn(session: Session, instance: VduseInstance): void {
  const { name, server } = instance;
  const attached = server === 'vdpa' ? instance.status.attached : instance.attached;
  const missing = attached ? `the server of ${name}` : name;
  const isKept = attached ? undefined : `it is not attached; run "vdpa dev add mgmtdev vduse name ${name}" first`;
  const reason = {
    vdpa: isKept,
    starting: isKept,
    unresponsive: 'it does not respond',
    other: 'it is served by another program; start that before "vdpa restore"',
    none: `its server died; replace it with "vdpa vduse serve" or remove the device with "vdpa vduse del ${name}"`,
  }[server];
  if (reason !== undefined) session.io.stderr(`Warning: ${missing} is not saved: ${reason}.\n`);
}
