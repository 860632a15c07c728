/** Finds what uses a disk and its partitions: mounts, swap space, other devices. */
import type { DeviceNumber, MachineFiles } from './machine-files.js';

/** A use of a disk on this machine. */
export type DiskUser =
  | { readonly kind: 'mount'; readonly mountPoint: string; readonly disk: string }
  | { readonly kind: 'swap'; readonly disk: string }
  /** A device mapper, md or other device on top of the disk. */
  | { readonly kind: 'holder'; readonly holder: string; readonly disk: string };

/** A disk and its partitions: `vda`, `vda1`. */
export function partsOf(files: MachineFiles, block: string): string[] {
  return [block, ...files.list(`/sys/class/block/${block}`).filter((name) => name.startsWith(block))];
}

/**
 * The uses of these disks visible in this mount namespace.
 * @param disks names of block devices: {@link partsOf}
 * @throws SystemError if the machine's files cannot be read
 */
export function findDiskUsers(files: MachineFiles, disks: readonly string[]): DiskUser[] {
  return [
    ...disks.flatMap((disk) => mountsOf(files, disk)),
    ...disks.flatMap((disk) =>
      files
        .list(`/sys/class/block/${disk}/holders`)
        .map((holder) => ({ kind: 'holder' as const, holder: `/dev/${holder}`, disk: `/dev/${disk}` })),
    ),
    ...swapsOn(files, disks),
  ];
}

/** The mounts of a disk visible to this process: proc(5), mountinfo. */
function mountsOf(files: MachineFiles, disk: string): DiskUser[] {
  const number = files.text(`/sys/class/block/${disk}/dev`);
  const lines = files.text('/proc/self/mountinfo')?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [, , device, , mountPoint = ''] = line.split(' ');
    return device === number
      ? [{ kind: 'mount' as const, mountPoint: unescape(mountPoint), disk: `/dev/${disk}` }]
      : [];
  });
}

function swapsOn(files: MachineFiles, disks: readonly string[]): DiskUser[] {
  const lines = files.text('/proc/swaps')?.split('\n').slice(1) ?? [];
  const nodes = disks.map((disk) => ({ node: `/dev/${disk}`, device: files.deviceNumber(`/dev/${disk}`) }));
  return lines.flatMap((line) => {
    const swap = files.deviceNumber(unescape(line.split(/\s+/)[0] ?? ''));
    const disk = nodes.find(({ device }) => isSame(device, swap));
    return disk ? [{ kind: 'swap' as const, disk: disk.node }] : [];
  });
}

function isSame(one: DeviceNumber | undefined, other: DeviceNumber | undefined): boolean {
  return one !== undefined && one.kind === other?.kind && one.major === other.major && one.minor === other.minor;
}

/** The kernel writes blanks, line breaks and backslashes in paths as three octal digits. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
