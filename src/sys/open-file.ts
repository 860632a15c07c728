import { constants, openSync } from 'node:fs';
import { SystemError } from './error.js';
import { Errno, nodeErrno } from './errno.js';

/**
 * Opens a file for reading and writing, non-blocking and close-on-exec.
 * @param hints what to do about an error number, one whole sentence each
 * @throws SystemError
 */
export function openFile(path: string, flags: number, hints: Readonly<Partial<Record<number, string>>> = {}): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    const errno = nodeErrno(error) ?? Errno.EIO;
    const hint = hints[errno];
    throw new SystemError({ operation: `open ${path}`, errno, cause: error, ...(hint !== undefined && { hint }) });
  }
}

export const { O_RDONLY, O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;
