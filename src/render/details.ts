import type { DeviceDetails } from '../host/device-details.js';
import type { ParentDevice } from '../sysfs/bus.js';
import type { DeviceUser } from '../sysfs/users.js';
import { renderRows, type Printer } from './printer.js';

/** Adds the details of a device on this machine: in text on a line of its own, with one more for each user. */
export function renderDetails(printer: Printer, { device, users }: DeviceDetails): void {
  printer.newline();
  if (device.driver === undefined) printer.nothing('driver', '  driver (none)');
  else printer.string('driver', device.driver, '  driver ');
  if (device.driverOverride !== undefined)
    printer.string('driver_override', device.driverOverride, ' driver_override ');
  if (device.vhost !== undefined) printer.string('vhost', `/dev/${device.vhost}`, ' vhost ');
  if (device.virtio !== undefined) printer.string('virtio', device.virtio, ' virtio ');
  if (device.virtioCandidates) {
    const names = device.virtioCandidates.map(({ virtio }) => virtio).join(',');
    printer.string('virtio_candidates', names, ' virtio_candidates ');
  }
  if (device.virtioDriver !== undefined) printer.string('virtio_driver', device.virtioDriver, ' virtio_driver ');
  if (device.netdev !== undefined) printer.string('netdev', device.netdev, ' netdev ');
  if (device.block !== undefined) printer.string('block', `/dev/${device.block}`, ' block ');
  if (device.parent) printer.string('parent', formatParent(device.parent), ' parent ');
  if (device.pci !== undefined) printer.string('pci', device.pci, ' pci ');
  if (device.numaNode !== undefined) printer.number('numa_node', device.numaNode, ' numa_node ');
  if (users.length > 0) {
    renderRows(printer, 'user', users, (user) => {
      renderUser(printer, user);
    });
  }
}

/** `pci/0000:03:00.2`, in the notation of management devices. */
function formatParent(parent: ParentDevice): string {
  return `${parent.subsystem}/${parent.name}`;
}

/** The kind, followed by the properties, named as in the type. */
function renderUser(printer: Printer, { kind, ...rest }: DeviceUser): void {
  printer.string('kind', kind, '');
  for (const [key, value] of Object.entries(rest)) {
    const word = key === 'mountPoint' ? 'mount_point' : key;
    if (typeof value === 'number') printer.number(word, value, ` ${word} `);
    else printer.string(word, value, ` ${word} `);
  }
}
