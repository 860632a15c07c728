/** Finds obstacles to removing a device from its driver, by unbinding or deleting it. */
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
 * The events that the kernel waits for before it releases a device, uninterruptibly and blocking all of vdpa: a
 * vhost-vdpa node is closed, or a server that does not respond answers.
 */
export type Blocker = NodeUser | ServerTrouble;

/** Options for removing devices. */
export interface RemovalOptions {
  /** Remove the device even if it is in use. The kernel waits for a {@link Blocker} nevertheless. */
  readonly force?: boolean;
  /** Whether the caller has such a choice, which the hint of a refusal mentions; true by default. */
  readonly canForce?: boolean;
  /** Called with the obstacles if the device is removed by force. */
  readonly onForced?: (inTheWay: readonly (DeviceUser | Blocker)[]) => void;
}

/**
 * Returns what the kernel would wait for if the device were removed now. Cheap if it is not bound to a driver that
 * waits.
 *
 * Command line: `vdpa dev del NAME` rejects a device with blockers.
 * @param name the device's name in sysfs
 * @throws SystemError if the machine's files cannot be read
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
      // Without a driver, the virtio device is not reset, and no server is asked.
      return device?.parent?.subsystem === VDUSE_CLASS && device.virtioDriver !== undefined ? [trouble] : [];
    }
    default:
      return [];
  }
}

/**
 * Throws if the kernel would wait before removing a device.
 * @throws SystemError EBUSY, with what it would wait for
 */
export function refuseBlocked(bus: VdpaBus, name: string, operation: string, options: RemovalOptions = {}): void {
  refuse(findBlockers(bus, name), operation, options);
}

/**
 * The same, and also if the device is in use.
 * @throws SystemError EBUSY, with the users
 */
export async function refuseUsed(
  bus: VdpaBus,
  device: BusDevice,
  operation: string,
  options: RemovalOptions = {},
): Promise<void> {
  const blockers = findBlockers(bus, device.name);
  refuse(
    blockers.length > 0 ? blockers : await findUsers(bus.files, device, { interfaceUses: bus.interfaceUses }),
    operation,
    options,
  );
}

function refuse(
  inTheWay: readonly (DeviceUser | Blocker)[],
  operation: string,
  { force = false, canForce = true, onForced }: RemovalOptions,
): void {
  if (inTheWay.length === 0) return;
  if (force) {
    onForced?.(inTheWay);
    return;
  }
  const [trouble] = inTheWay.filter((one) => one.kind === 'server');
  const hint = trouble
    ? `${explainServerTrouble(trouble)}${canForce ? '. Or use "force"' : ''}`
    : `It is in use: ${inTheWay.map(describeInTheWay).join('; ')}. End that first${canForce ? ', or use "force"' : ''}`;
  throw new SystemError({ operation, errno: Errno.EBUSY, hint });
}

/** Human-readable: {@link describeUser}, and the problem of a server. */
export function describeInTheWay(inTheWay: DeviceUser | Blocker): string {
  return inTheWay.kind === 'server' ? describeServerTrouble(inTheWay) : describeUser(inTheWay);
}

/** The same for a device that is removed nevertheless, with the effect in the kernel. */
export function describeForced(inTheWay: DeviceUser | Blocker): string {
  const waits = inTheWay.kind === 'server' || ('node' in inTheWay && inTheWay.node.startsWith('/dev/vhost-vdpa-'));
  return `${describeInTheWay(inTheWay)}${waits ? '; the kernel waits for this and blocks all vdpa commands until then' : ''}`;
}
