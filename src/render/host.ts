import type { HostReport, Presence } from '../host/report.js';
import { vdpaCommandName } from '../vdpa/names.js';
import { describeClass, deviceClasses } from '../virtio/classes.js';
import { renderRows, type Printer } from './printer.js';

/** Prints whether a machine is ready for vDPA: one line per subject, with advice after what is missing. */
export function renderHost(printer: Printer, report: HostReport): void {
  printer.openRecord('machine');
  printer.string('kernel', report.kernel, 'kernel ');
  printer.boolean('ready', report.advice.length === 0, ' ready ');
  printer.closeRecord();
  renderRows(printer, 'advice', report.advice, (advice) => {
    printer.string('do', advice, '');
  });
  renderPresence(printer, 'vdpa_family', report.family, ({ family }) => {
    printer.number('id', family.id, ' id ');
    printer.number('version', family.version, ' version ');
    printer.openList('operations');
    for (const { command } of family.operations) printer.item(vdpaCommandName(command));
    printer.closeList();
  });
  renderRows(printer, 'module', report.modules, ({ name, state, purpose, advice }) => {
    printer.string('name', name, '');
    printer.string('state', state, ' ');
    printer.string('purpose', purpose, ': ');
    if (advice !== undefined) printer.string('advice', advice, '; ');
  });
  renderRows(printer, 'mgmtdev', report.managementDevices, (device) => {
    printer.string('name', device.handle, '');
    const classes = deviceClasses(device.supportedClasses ?? 0n).map(describeClass);
    printer.string('classes', classes.join(','), ' classes ');
  });
  renderRows(printer, 'bus_driver', report.busDrivers, (driver) => {
    printer.string('name', driver, '');
  });
  renderPresence(printer, 'vduse', report.vduse, ({ apiVersion, features }) => {
    printer.string('node', '/dev/vduse/control', ' ');
    printer.number('api_version', apiVersion, ' api_version ');
    printer.string('features', `0x${features.toString(16)}`, ' features ');
  });
  renderRows(printer, 'vhost', report.vhostNodes, ({ node, device }) => {
    printer.string('node', node, '');
    printer.string('device', device, ' device ');
  });
  renderPresence(printer, 'iommu', report.iommu, ({ ranges, alignment }) => {
    printer.string('node', '/dev/iommu', ' ');
    printer.number('iova_alignment', alignment, ' iova_alignment ');
    printer.openList('iova_ranges');
    for (const { start, last } of ranges) printer.item(`0x${start.toString(16)}-0x${last.toString(16)}`);
    printer.closeList();
  });
  printer.openRecord('capabilities');
  printer.boolean('net_admin', report.capabilities.netAdmin, 'net_admin ');
  printer.boolean('dac_override', report.capabilities.dacOverride, ' dac_override ');
  printer.boolean('initial_user_namespace', report.capabilities.initialUserNamespace, ' initial_user_namespace ');
  printer.closeRecord();
}

function renderPresence<T>(printer: Printer, name: string, part: Presence<T>, render: (part: T) => void): void {
  printer.openRecord(name);
  printer.boolean('present', part.present, 'present ');
  if (part.present) render(part);
  else printer.string('advice', part.advice, '; ');
  printer.closeRecord();
}
