import type { BusDevice, ParentDevice } from '../sysfs/bus.js';
import type { Printer } from './printer.js';

/** Adds to what is told of a device what the machine's file systems know of it: a line of its own in text. */
export function renderDetails(printer: Printer, device: BusDevice): void {
  printer.newline();
  if (device.driver === undefined) printer.nothing('driver', '  driver (none)');
  else printer.string('driver', device.driver, '  driver ');
  if (device.driverOverride !== undefined)
    printer.string('driver_override', device.driverOverride, ' driver_override ');
  if (device.vhost !== undefined) printer.string('vhost', `/dev/${device.vhost}`, ' vhost ');
  if (device.virtio !== undefined) printer.string('virtio', device.virtio, ' virtio ');
  if (device.virtioDriver !== undefined) printer.string('virtio_driver', device.virtioDriver, ' virtio_driver ');
  if (device.netdev !== undefined) printer.string('netdev', device.netdev, ' netdev ');
  if (device.block !== undefined) printer.string('block', `/dev/${device.block}`, ' block ');
  if (device.parent) printer.string('parent', formatParent(device.parent), ' parent ');
  if (device.pci !== undefined) printer.string('pci', device.pci, ' pci ');
  if (device.numaNode !== undefined) printer.number('numa_node', device.numaNode, ' numa_node ');
}

/** `pci/0000:03:00.2`, as management devices are written. */
export function formatParent(parent: ParentDevice): string {
  return `${parent.subsystem}/${parent.name}`;
}
