/** From what the machine calls a device to the device on the vdpa bus. */
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { driverName } from './bus.js';
import type { BusDevice, VdpaBus } from './bus.js';
import { requireDriver } from './binding.js';

/** What a device is looked up by. Disks and nodes may be written with `/dev/` before them. */
export interface DeviceQuery {
  readonly by: 'driver' | 'netdev' | 'block' | 'vhost';
  readonly value: string;
}

/**
 * The devices that are bound to a driver, or the one that has become a network interface, a disk or a vhost-vdpa node.
 * @throws SystemError ENOENT where the bus has no such driver; ENODEV where no device has become what was named; ENOTUNIQ
 *   where it cannot be said which one has
 */
export function findDevices(bus: VdpaBus, { by, value }: DeviceQuery): BusDevice[] {
  const operation = `find the vdpa device with ${by} ${value}`;
  if (by === 'driver') {
    const driver = driverName(value);
    requireDriver(bus, driver, operation);
    return bus.devices().filter((device) => device.driver === driver);
  }
  const wanted = by === 'netdev' ? value : value.replace(/^\/dev\//, '');
  const devices = bus.devices();
  const found = devices.filter((device) => device[by] === wanted);
  if (found.length > 0) return found;
  const possible = devices.filter(
    ({ virtioCandidates = [] }) => by !== 'vhost' && virtioCandidates.some((candidate) => candidate[by] === wanted),
  );
  if (possible.length > 0) {
    const hint = `It is one of these, which sysfs does not tell apart: ${possible.map(({ name }) => name).join(', ')}`;
    throw new SystemError({ operation, errno: Errno.ENOTUNIQ, hint });
  }
  throw new SystemError({ operation, errno: Errno.ENODEV, hint: explanations[by] });
}

const explanations = {
  netdev: 'No device on the vdpa bus has become this network interface, or it is in another network namespace',
  block: 'No device on the vdpa bus has become this disk',
  vhost: 'No device on the vdpa bus has this node: those bound to vhost_vdpa have one',
} as const;
