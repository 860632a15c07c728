/** Who uses a device of the vdpa bus, so that nobody takes it from under them. */
import { constants } from 'node:fs';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { BusDevice } from './bus.js';
import type { DeviceNumber, MachineFiles } from './machine-files.js';

/** Something that stops working when the device is taken away. */
export type DeviceUser =
  | { readonly kind: 'process'; readonly pid: number; readonly command: string; readonly node: string }
  | { readonly kind: 'mount'; readonly mountPoint: string; readonly disk: string }
  | { readonly kind: 'swap'; readonly disk: string }
  /** A device mapper, md or other device on top of the disk. */
  | { readonly kind: 'holder'; readonly holder: string; readonly disk: string }
  /** The kernel says that it is taken, and nobody shows: another mount namespace, or a process in another PID namespace. */
  | { readonly kind: 'unknown'; readonly node: string };

/** All that uses a device. @throws SystemError where the machine's files cannot be read */
export function findUsers(files: MachineFiles, device: BusDevice): DeviceUser[] {
  if (device.vhost !== undefined) return vhostUsers(files, `/dev/${device.vhost}`);
  if (device.block !== undefined) return diskUsers(files, device.block);
  return [];
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
  }
}

/** vhost-vdpa lets one process in at a time; opening it is the one sure way to ask. It is idle where it can be opened. */
function vhostUsers(files: MachineFiles, node: string): DeviceUser[] {
  const device = files.deviceNumber(node);
  if (device === undefined) return [];
  const users = holdersOf(files, [{ node, device }]);
  return users.length === 0 && isTaken(files, node, constants.O_RDWR) ? [{ kind: 'unknown', node }] : users;
}

function diskUsers(files: MachineFiles, block: string): DeviceUser[] {
  const disks = [block, ...files.list(`/sys/class/block/${block}`).filter((name) => name.startsWith(block))];
  const nodes = disks.flatMap((disk) => {
    const device = files.deviceNumber(`/dev/${disk}`);
    return device === undefined ? [] : [{ node: `/dev/${disk}`, device }];
  });
  const users: DeviceUser[] = [
    ...disks.flatMap((disk) => mountsOf(files, disk)),
    ...disks.flatMap((disk) =>
      files
        .list(`/sys/class/block/${disk}/holders`)
        .map((holder) => ({ kind: 'holder' as const, holder: `/dev/${holder}`, disk: `/dev/${disk}` })),
    ),
    ...swapsOn(files, nodes),
    ...holdersOf(files, nodes),
  ];
  // A file system, swap or a device on top claims the disk for itself alone, partitions and other namespaces included.
  if (users.length === 0 && isTaken(files, `/dev/${block}`, constants.O_RDONLY | constants.O_EXCL)) {
    return [{ kind: 'unknown', node: `/dev/${block}` }];
  }
  return users;
}

interface Node {
  readonly node: string;
  readonly device: DeviceNumber;
}

/** The processes that have one of these devices open, each once a device. */
function holdersOf(files: MachineFiles, nodes: readonly Node[]): DeviceUser[] {
  const users: DeviceUser[] = [];
  for (const pid of files.list('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const open = new Set<string>();
    for (const fd of descriptors(files, pid)) {
      const path = `/proc/${pid}/fd/${fd}`;
      // Only device nodes are looked at: asking after a file on a dead network file system does not come back.
      if (files.link(path)?.startsWith('/dev/') !== true) continue;
      const found = files.deviceNumber(path);
      const node = nodes.find(({ device }) => isSame(device, found));
      if (node) open.add(node.node);
    }
    const command = open.size === 0 ? '' : (files.text(`/proc/${pid}/comm`) ?? '');
    for (const node of open) users.push({ kind: 'process', pid: Number(pid), command, node });
  }
  return users;
}

/** The open files of a process; none where it may not be looked at. */
function descriptors(files: MachineFiles, pid: string): string[] {
  try {
    return files.list(`/proc/${pid}/fd`);
  } catch (error) {
    if (error instanceof SystemError && (error.errno === Errno.EACCES || error.errno === Errno.EPERM)) return [];
    throw error;
  }
}

function isSame(a: DeviceNumber, b: DeviceNumber | undefined): boolean {
  return a.kind === b?.kind && a.major === b.major && a.minor === b.minor;
}

/** Where a disk is mounted, as this process sees it: proc(5), mountinfo. */
function mountsOf(files: MachineFiles, disk: string): DeviceUser[] {
  const number = files.text(`/sys/class/block/${disk}/dev`);
  const lines = files.text('/proc/self/mountinfo')?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [, , device, , mountPoint = ''] = line.split(' ');
    return device === number
      ? [{ kind: 'mount' as const, mountPoint: unescape(mountPoint), disk: `/dev/${disk}` }]
      : [];
  });
}

function swapsOn(files: MachineFiles, nodes: readonly Node[]): DeviceUser[] {
  const lines = files.text('/proc/swaps')?.split('\n').slice(1) ?? [];
  return lines.flatMap((line) => {
    const path = unescape(line.split(/\s+/)[0] ?? '');
    const swap = files.deviceNumber(path);
    const node = nodes.find(({ device }) => isSame(device, swap));
    return node ? [{ kind: 'swap' as const, disk: node.node }] : [];
  });
}

/** The kernel writes blanks, line breaks and backslashes in paths as three octal digits. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function isTaken(files: MachineFiles, node: string, flags: number): boolean {
  try {
    files.touch(`open ${node}`, node, flags | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    return false;
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EBUSY) return true;
    // Whoever may not open it cannot tell; unbinding it takes more rights than that.
    if (error instanceof SystemError) return false;
    throw error;
  }
}
