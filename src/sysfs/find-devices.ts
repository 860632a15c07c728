/** Finds devices on the vdpa bus by driver, interface, disk or node. */
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { driverName } from './bus.js';
import type { BusDevice, VdpaBus } from './bus.js';
import { requireDriver } from './binding.js';

/** A query for devices. Disks and nodes may have the prefix `/dev/`. */
export interface DeviceQuery {
  readonly by: 'driver' | 'netdev' | 'block' | 'vhost';
  readonly value: string;
}

/**
 * The devices bound to a driver, or the device of a network interface, a disk or a vhost-vdpa node.
 *
 * Command line: `vdpa dev show netdev IFNAME`, and `block`, `vhost`, `driver`.
 * @throws SystemError ENOENT if the bus has no such driver; ENODEV if no device matches; ENOTUNIQ if it is not certain
 * which device matches
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
    const hint = `It may be any of these, which sysfs does not distinguish: ${possible.map(({ name }) => name).join(', ')}`;
    throw new SystemError({ operation, errno: Errno.ENOTUNIQ, hint });
  }
  throw new SystemError({ operation, errno: Errno.ENODEV, hint: explanations[by] });
}

const explanations = {
  netdev: 'No device on the vdpa bus provides this network interface, or it is in another network namespace',
  block: 'No device on the vdpa bus provides this disk',
  vhost: 'No device on the vdpa bus has this node; only those bound to vhost_vdpa have one',
} as const;
