import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** O_TMPFILE of Linux on x86-64 and arm64, without O_DIRECTORY, which differs. */
const TMPFILE = 0o20000000;

/** Folders that are usually writable, in memory first. */
const folders = ['/dev/shm', '/tmp', '/run', '/var/tmp'];

/** The name under which threads find the descriptor of the copy. */
const COPY = 'vdpa:native-module';

/**
 * Loads the native module of the single executable. The loader of the C library opens files only, so the module is
 * copied to one without a name (O_TMPFILE, open(2)), which no other user can open or replace. Threads load the same copy.
 * @param bytes its content
 * @throws Error if no folder permits such files and their execution
 */
export function loadEmbedded(module: { exports: object }, bytes: () => Uint8Array): void {
  const threads = process.getBuiltinModule('node:worker_threads');
  const copy = threads.getEnvironmentData(COPY);
  if (typeof copy === 'number') {
    process.dlopen(module, pathOf(copy));
    return;
  }
  const failures: string[] = [];
  for (const folder of folders) {
    try {
      threads.setEnvironmentData(COPY, loadCopy(module, bytes(), folder));
      return;
    } catch (error) {
      failures.push(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(failures.join('; '));
}

/** Copies the module into a folder and loads it. @returns the descriptor of the copy, which stays open */
function loadCopy(module: { exports: object }, bytes: Uint8Array, folder: string): number {
  // Readable for this process without privileges too: its threads start after it has dropped them.
  const fd = openSync(folder, TMPFILE | constants.O_DIRECTORY | constants.O_RDWR | constants.O_EXCL, 0o444);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    process.dlopen(module, pathOf(fd));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const pathOf = (fd: number): string => `/proc/self/fd/${fd}`;
