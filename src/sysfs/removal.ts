/** What is in the way of taking a device from its driver, be it to unbind it or to delete it. */
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { VDUSE_CLASS, VHOST_VDPA, VIRTIO_VDPA, deviceFolder, isFileName } from './bus.js';
import type { BusDevice, VdpaBus } from './bus.js';
import {
  describeServerTrouble,
  explainServerTrouble,
  findServerTrouble,
  type ServerTrouble,
} from './instance-server.js';
import { describeUser, findUsers, findVhostUsers, type DeviceUser, type NodeUser } from './users.js';

/**
 * What the kernel waits for before it lets a device go, uninterruptibly and with all of vdpa waiting too: that a vhost-vdpa
 * node is closed, or that a server answers which will not.
 */
export type Blocker = NodeUser | ServerTrouble;

/** How devices are taken away. */
export interface RemovalOptions {
  /** Take the device away from whoever uses it. The kernel waits for a {@link Blocker} all the same. */
  readonly force?: boolean;
  /** Called with what was in the way, where the device is taken by force. */
  readonly onForced?: (inTheWay: readonly (DeviceUser | Blocker)[]) => void;
}

/**
 * What the kernel would wait for if the device were taken away now. Cheap where it is bound to no driver that waits.
 * @param name the device's name in sysfs
 * @throws SystemError where the machine's files cannot be read
 */
export function findBlockers(bus: VdpaBus, name: string): Blocker[] {
  const { files } = bus;
  switch (isFileName(name) ? files.linkName(`${deviceFolder(name)}/driver`) : undefined) {
    case VHOST_VDPA: {
      const device = bus.device(name);
      return device ? findVhostUsers(files, device) : [];
    }
    case VIRTIO_VDPA: {
      const trouble = findServerTrouble(files, name);
      if (!trouble) return [];
      const device = bus.device(name);
      // Without a driver of its own the virtio device is not reset, and nobody is asked.
      return device?.parent?.subsystem === VDUSE_CLASS && device.virtioDriver !== undefined ? [trouble] : [];
    }
    default:
      return [];
  }
}

/**
 * Refuses to take a device away where the kernel would wait for something.
 * @throws SystemError EBUSY, with what it would wait for
 */
export function refuseBlocked(bus: VdpaBus, name: string, operation: string, options: RemovalOptions = {}): void {
  refuse(findBlockers(bus, name), operation, options);
}

/**
 * The same, and where somebody uses the device.
 * @throws SystemError EBUSY, with who
 */
export async function refuseUsed(
  bus: VdpaBus,
  device: BusDevice,
  operation: string,
  options: RemovalOptions = {},
): Promise<void> {
  const blockers = findBlockers(bus, device.name);
  refuse(blockers.length > 0 ? blockers : await findUsers(bus.files, device), operation, options);
}

function refuse(
  inTheWay: readonly (DeviceUser | Blocker)[],
  operation: string,
  { force = false, onForced }: RemovalOptions,
): void {
  if (inTheWay.length === 0) return;
  if (force) {
    onForced?.(inTheWay);
    return;
  }
  const [trouble] = inTheWay.filter((one) => one.kind === 'server');
  const hint = trouble
    ? `${explainServerTrouble(trouble)}. Or say force`
    : `It is in use: ${inTheWay.map(describeInTheWay).join('; ')}. End that first, or say force`;
  throw new SystemError({ operation, errno: Errno.EBUSY, hint });
}

/** For people: {@link describeUser}, and what is wrong with a server. */
export function describeInTheWay(inTheWay: DeviceUser | Blocker): string {
  return inTheWay.kind === 'server' ? describeServerTrouble(inTheWay) : describeUser(inTheWay);
}

/** The same where the device is taken all the same, with what the kernel does then. */
export function describeForced(inTheWay: DeviceUser | Blocker): string {
  const waits = inTheWay.kind === 'server' || ('node' in inTheWay && inTheWay.node.startsWith('/dev/vhost-vdpa-'));
  return `${describeInTheWay(inTheWay)}${waits ? '; the kernel waits for that, and all of vdpa with it' : ''}`;
}
