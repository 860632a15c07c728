/** Details of devices from the machine, in addition to the kernel's vdpa family. */
import type { BusDevice, VdpaBus } from '../sysfs/bus.js';
import { OpenNodes } from '../sysfs/open-nodes.js';
import { findVisibleUsers, type DeviceUser } from '../sysfs/users.js';

/** How this machine uses a device, and who uses the result. */
export interface DeviceDetails {
  readonly device: BusDevice;
  /** The users visible without opening anything; see {@link findVisibleUsers}. */
  readonly users: readonly DeviceUser[];
}

/**
 * Returns a function that reads the details of devices one by one; open nodes are searched for only once.
 * @returns undefined for a device that is not on the bus (any longer)
 * @throws SystemError if the machine's files cannot be read; NetlinkError if the kernel does not report addresses
 */
export function detailsReader(bus: VdpaBus): (name: string) => Promise<DeviceDetails | undefined> {
  const open = new OpenNodes(bus.files);
  return async (name) => {
    const device = bus.device(name);
    return (
      device && { device, users: await findVisibleUsers(bus.files, device, { open, interfaceUses: bus.interfaceUses }) }
    );
  };
}
