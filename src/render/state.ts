import type { StateFile } from '../host/state/wanted.js';
import type { Printer } from './printer.js';

/** Prints a file of `vdpa save`, which is JSON whatever else the printer can do. */
export function renderState(printer: Printer, { version, devices }: StateFile): void {
  printer.openRow();
  printer.number('version', version, '');
  printer.openRows('devices');
  for (const { name, mgmtdev, type, mac, mtu, max_vqp: pairs, device_features: features, driver } of devices) {
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
    if (driver === null) printer.nothing('driver', '');
    else if (driver !== undefined) printer.string('driver', driver, '');
    printer.closeRow();
  }
  printer.closeRows();
  printer.closeRow();
}
