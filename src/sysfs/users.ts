/** Finds the users of a device on the vdpa bus, so that it is not removed while in use. */
import { constants } from 'node:fs';
import { VDUSE_CLASS } from './bus.js';
import type { BusDevice } from './bus.js';
import { findDiskUsers, partsOf, type DiskUser } from './disk-users.js';
import { readInterfaceUses } from '../rtnetlink/interface-uses.js';
import { findServerTrouble } from './instance-server.js';
import {
  describeInterfaceUser,
  findInterfaceUsers,
  type InterfaceUser,
  type ReadInterfaceUses,
} from './interface-users.js';
import type { MachineFiles } from './machine-files.js';
import { OpenNodes, probeNode } from './open-nodes.js';

/** A process that has a device node open. */
export type NodeUser =
  | { readonly kind: 'process'; readonly pid: number; readonly command: string; readonly node: string }
  /**
   * The kernel reports it as in use, but no user is visible: another mount namespace, or a process in another PID
   * namespace.
   */
  | { readonly kind: 'unknown'; readonly node: string };

/** Something that stops working when the device is removed. */
export type DeviceUser = NodeUser | DiskUser | InterfaceUser;

/** Options for checking many devices, or another machine's files. */
export interface FindUsersOptions {
  /** The cache of open nodes, which can be shared by many devices. */
  readonly open?: OpenNodes;
  /** Returns addresses and routes; by default those of this machine's kernel. */
  readonly interfaceUses?: ReadInterfaceUses;
}

/**
 * All visible users of a device: nothing is opened, so that nothing is disturbed.
 *
 * Command line: `vdpa -d dev show NAME`.
 * @throws SystemError if the machine's files cannot be read; NetlinkError if the kernel does not report addresses
 */
export async function findVisibleUsers(
  files: MachineFiles,
  device: BusDevice,
  options: FindUsersOptions = {},
): Promise<DeviceUser[]> {
  const { vhost, virtioCandidates = [] } = device;
  const { open = new OpenNodes(files), interfaceUses = readInterfaceUses } = options;
  const users: DeviceUser[] = vhost === undefined ? [] : processesWith([`/dev/${vhost}`], open);
  for (const { block, netdev, netdevElsewhere, virtio = '' } of [device, ...virtioCandidates]) {
    if (block !== undefined) {
      const disks = partsOf(files, block);
      const nodes = disks.map((disk) => `/dev/${disk}`);
      users.push(...findDiskUsers(files, disks), ...processesWith(nodes, open));
    }
    if (netdev !== undefined) users.push(...(await findInterfaceUsers(files, netdev, interfaceUses)));
    if (netdevElsewhere) users.push({ kind: 'namespace', virtio });
  }
  return users;
}

/**
 * All users of a device. If none is visible, the kernel is asked as well, by opening the node: a disk exclusively,
 * since a file system, swap or a device on top claims it, including partitions and other namespaces.
 *
 * Command line: `vdpa dev unbind NAME` rejects a device with users.
 * @throws SystemError, NetlinkError as {@link findVisibleUsers} does
 */
export async function findUsers(
  files: MachineFiles,
  device: BusDevice,
  options: FindUsersOptions = {},
): Promise<DeviceUser[]> {
  const users = await findVisibleUsers(files, device, options);
  if (users.length > 0) return users;
  if (device.vhost !== undefined) return findVhostUsers(files, device);
  return disksOf(device)
    .map((block) => `/dev/${block}`)
    .filter((node) => probeNode(files, node, constants.O_RDONLY | constants.O_EXCL) === 'taken')
    .map((node) => ({ kind: 'unknown', node }));
}

/** Its disk, or the possible ones. */
function disksOf({ block, virtioCandidates = [] }: BusDevice): string[] {
  return [{ block }, ...virtioCandidates].flatMap((device) => device.block ?? []);
}

/**
 * The processes that have the node of a device open. vhost-vdpa permits one process at a time: opening the node is the
 * only reliable check, and a quick one. It resets the device, like the next process that opens it; a server that has
 * ended would not respond to that.
 * @throws SystemError if /proc cannot be read
 */
export function findVhostUsers(files: MachineFiles, { name, vhost, parent }: BusDevice): NodeUser[] {
  if (vhost === undefined) return [];
  const node = `/dev/${vhost}`;
  const open = new OpenNodes(files);
  const canAsk = parent?.subsystem !== VDUSE_CLASS || findServerTrouble(files, name, open) === undefined;
  if (canAsk && probeNode(files, node, constants.O_RDWR) === 'free') return [];
  const users = processesWith([node], open);
  const isTaken = users.length === 0 && canAsk && probeNode(files, node, constants.O_RDWR) === 'taken';
  return isTaken ? [{ kind: 'unknown', node }] : users;
}

/** The processes that have one of these nodes open. */
function processesWith(nodes: readonly string[], open: OpenNodes): NodeUser[] {
  return nodes.flatMap((node) =>
    open.openersOf(node).map(({ pid, command }) => ({ kind: 'process' as const, pid, command, node })),
  );
}

/** Human-readable: `process 12 (qemu) has /dev/vhost-vdpa-0 open`. */
export function describeUser(user: DeviceUser): string {
  switch (user.kind) {
    case 'process':
      return `process ${user.pid} (${user.command}) has ${user.node} open`;
    case 'mount':
      return `${user.disk} is mounted on ${user.mountPoint}`;
    case 'swap':
      return `${user.disk} is swap space in use`;
    case 'holder':
      return `${user.holder} is built on ${user.disk}`;
    case 'unknown':
      return `${user.node} is in use by a process that is not visible here`;
    default:
      return describeInterfaceUser(user);
  }
}
