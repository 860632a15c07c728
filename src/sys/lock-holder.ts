/** Who holds the lock of a file. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { majorOf, minorOf } from './device-number.js';

/** Of a line of /proc/locks about flock(2): who took it, and the device and the inode of the file. proc_locks(5) */
const lockLine = /^\d+: FLOCK +\S+ +WRITE +(\d+) +(\S+):(\d+) /gm;

/**
 * The process that has taken the lock of flock(2) of a file, as far as /proc shows it to this user. To try the lock instead
 * would keep others from taking it.
 * @returns undefined where nobody has, or there is no such file
 * @throws errors of node:fs where there is no /proc
 */
export function lockHolder(path: string): number | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino } = stats;
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  const device = `${hex(majorOf(Number(dev)))}:${hex(minorOf(Number(dev)))}`;
  for (const [, pid = '', where, inode] of readFileSync('/proc/locks', 'latin1').matchAll(lockLine)) {
    if (inode !== ino.toString()) continue;
    // Of some file systems (btrfs, overlayfs) stat(2) tells another device than the lock has.
    if (where === device || hasOpen(pid, dev, ino)) return Number(pid);
  }
  return undefined;
}

/** Whether a process has a file open. */
function hasOpen(pid: string, dev: bigint, ino: bigint): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => {
      const stats = statSync(`${folder}/${fd}`, { bigint: true, throwIfNoEntry: false });
      return stats?.dev === dev && stats.ino === ino;
    });
  } catch {
    // It has ended, or is another user's.
    return false;
  }
}
