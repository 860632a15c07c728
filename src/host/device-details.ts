/** What the machine knows of devices beside what the kernel's vdpa family tells. */
import type { BusDevice, VdpaBus } from '../sysfs/bus.js';
import { OpenNodes } from '../sysfs/open-nodes.js';
import { seeUsers, type DeviceUser } from '../sysfs/users.js';

/** What a device has become on this machine, and who uses that. */
export interface DeviceDetails {
  readonly device: BusDevice;
  /** As far as they are seen without opening anything; see {@link seeUsers}. */
  readonly users: readonly DeviceUser[];
}

/**
 * Gives what reads the details of one device after the other: open nodes are looked for once for all.
 * @returns undefined for a device that is not on the bus, any more
 * @throws SystemError where the machine's files cannot be read; NetlinkError where the kernel does not tell of addresses
 */
export function detailsReader(bus: VdpaBus): (name: string) => Promise<DeviceDetails | undefined> {
  const open = new OpenNodes(bus.files);
  return async (name) => {
    const device = bus.device(name);
    return device && { device, users: await seeUsers(bus.files, device, { open }) };
  };
}
