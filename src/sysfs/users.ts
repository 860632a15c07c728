/** Who uses a device of the vdpa bus, so that nobody takes it from under them. */
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

/** Whoever has a device node open. */
export type NodeUser =
  | { readonly kind: 'process'; readonly pid: number; readonly command: string; readonly node: string }
  /** The kernel says that it is taken, and nobody shows: another mount namespace, or a process in another PID namespace. */
  | { readonly kind: 'unknown'; readonly node: string };

/** Something that stops working when the device is taken away. */
export type DeviceUser = NodeUser | DiskUser | InterfaceUser;

/** How a machine is looked at, by whoever looks at many devices or at another machine's files. */
export interface Sight {
  /** What is known of open nodes: one does for many devices. */
  readonly open?: OpenNodes;
  /** Tells addresses and routes: this machine's kernel where not given. */
  readonly interfaceUses?: ReadInterfaceUses;
}

/**
 * All that uses a device, as far as this machine shows it: nothing is opened, so that nobody is disturbed.
 * @throws SystemError where the machine's files cannot be read; NetlinkError where the kernel does not tell of addresses
 */
export async function seeUsers(files: MachineFiles, device: BusDevice, sight: Sight = {}): Promise<DeviceUser[]> {
  const { vhost, virtioCandidates = [] } = device;
  const { open = new OpenNodes(files), interfaceUses = readInterfaceUses } = sight;
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
 * All that uses a device. Where nothing is seen the kernel is asked as well, by opening the node: a disk for itself alone,
 * for a file system, swap or a device on top claims it, partitions and other namespaces included.
 * @throws SystemError, NetlinkError as {@link seeUsers} does
 */
export async function findUsers(files: MachineFiles, device: BusDevice, sight: Sight = {}): Promise<DeviceUser[]> {
  const users = await seeUsers(files, device, sight);
  if (users.length > 0) return users;
  if (device.vhost !== undefined) return findVhostUsers(files, device);
  return disksOf(device)
    .map((block) => `/dev/${block}`)
    .filter((node) => probeNode(files, node, constants.O_RDONLY | constants.O_EXCL) === 'taken')
    .map((node) => ({ kind: 'unknown', node }));
}

/** Its disk, or those that may be its. */
function disksOf({ block, virtioCandidates = [] }: BusDevice): string[] {
  return [{ block }, ...virtioCandidates].flatMap((device) => device.block ?? []);
}

/**
 * Who has the node of a device open. vhost-vdpa lets one process in at a time: opening it is the one sure way to ask, and a
 * quick one. It resets the device, as whoever opens it next does; a server that is gone would not answer to that.
 * @throws SystemError where /proc cannot be read
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
export function processesWith(nodes: readonly string[], open: OpenNodes): NodeUser[] {
  return nodes.flatMap((node) =>
    open.openersOf(node).map(({ pid, command }) => ({ kind: 'process' as const, pid, command, node })),
  );
}

/** For people: `process 12 (qemu) has /dev/vhost-vdpa-0 open`. */
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
      return `the kernel says that ${user.node} is in use, by whom cannot be seen`;
    default:
      return describeInterfaceUser(user);
  }
}
