import type { StateFile } from '../host/state/file.js';
import type { ServerEntry } from '../vduse/spec/arguments.js';
import type { Printer } from './printer.js';

/** Prints a state file of `vdpa save`, which is JSON for any output format. */
export function renderState(printer: Printer, { version, devices }: StateFile): void {
  printer.openRow();
  printer.number('version', version, '');
  printer.openRows('devices');
  for (const device of devices) {
    const { name, mgmtdev, type, mac, mtu, max_vqp: pairs, device_features: features, server, driver } = device;
    printer.openRow();
    printer.string('name', name, '');
    printer.string('mgmtdev', mgmtdev, '');
    if (type !== undefined) printer.string('type', type, '');
    if (mac !== undefined) printer.string('mac', mac, '');
    if (mtu !== undefined) printer.number('mtu', mtu, '');
    if (pairs !== undefined) printer.number('max_vqp', pairs, '');
    if (features) {
      printer.openList('device_features');
      for (const feature of features) printer.item(feature);
      printer.closeList();
    }
    if (server) renderServer(printer, server);
    if (driver === null) printer.nothing('driver', '');
    else if (driver !== undefined) printer.string('driver', driver, '');
    for (const key of ['owner', 'group', 'mode'] as const) {
      const value = device[key];
      if (value !== undefined) printer.string(key, value, '');
    }
    printer.closeRow();
  }
  printer.closeRows();
  printer.closeRow();
}

function renderServer(printer: Printer, server: ServerEntry): void {
  printer.openRecord('server');
  for (const [key, value] of Object.entries(server)) {
    if (typeof value === 'boolean') printer.boolean(key, value, '');
    else if (typeof value === 'number') printer.number(key, value, '');
    else if (typeof value === 'string') printer.string(key, value, '');
  }
  printer.closeRecord();
}
