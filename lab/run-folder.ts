import { accessSync, chownSync, constants, mkdtempSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabError } from './host.js';

/**
 * Creates the folder that one guest and the host share. The guest's memory is a file in it too, so it is created where there is
 * space for that, in memory if possible, and on a file system not mounted noexec.
 */
export function makeRunFolder(memoryMiB: number, owner: number | undefined): string {
  const base = ['/dev/shm', tmpdir(), '/var/tmp'].find(
    (folder) => isWritable(folder) && freeMiB(folder) > memoryMiB + 64 && !mountOptions(folder).includes('noexec'),
  );
  if (base === undefined) {
    throw new LabError(
      `neither /dev/shm nor ${tmpdir()} nor /var/tmp has ${memoryMiB} MiB free for the guest's memory`,
    );
  }
  const folder = mkdtempSync(join(base, 'vdpa-lab-'));
  if (owner !== undefined) chownSync(folder, owner, owner);
  return folder;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function freeMiB(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return (bavail * bsize) / 2 ** 20;
}

/** The options of the file system that a folder is on. */
function mountOptions(folder: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point = '/nowhere']) => point === '/' || folder === point || folder.startsWith(`${point}/`));
  const deepest = mounts.reduce(
    (best, mount) => ((mount[1] ?? '').length >= (best[1] ?? '').length ? mount : best),
    [],
  );
  return deepest[3]?.split(',') ?? [];
}
