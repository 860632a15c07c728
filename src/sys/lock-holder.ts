/** Finds the holder of the lock of a file. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { majorOf, minorOf } from './device-number.js';

/** In a line of /proc/locks about flock(2): the holder, and the device and the inode of the file. proc_locks(5) */
const lockLine = /^\d+: FLOCK +\S+ +WRITE +(\d+) +(\S+):(\d+) /gm;

/**
 * The process that holds the flock(2) lock of a file, as far as /proc shows it to this user. Trying the lock instead
 * would keep others from acquiring it.
 * @returns undefined if the lock is not held, or there is no such file
 * @throws errors of node:fs if there is no /proc
 */
export function lockHolder(path: string): number | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino } = stats;
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  const device = `${hex(majorOf(Number(dev)))}:${hex(minorOf(Number(dev)))}`;
  for (const [, pid = '', where, inode] of readFileSync('/proc/locks', 'latin1').matchAll(lockLine)) {
    if (inode !== ino.toString()) continue;
    // On some file systems (btrfs, overlayfs) stat(2) reports another device than that of the lock.
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
    // It has ended, or belongs to another user.
    return false;
  }
}
