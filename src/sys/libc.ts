/**
 * The C library through FFI: what is not a call of one subject (socket.ts, ioctl.ts …) and how calls report errors.
 *
 * Only src/sys/ calls it, and only there are addresses seen.
 */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { koffi } from './koffi.js';

/**
 * The C library that this process already runs on. Declare a function once, at the top of a module:
 * `const close: (fd: number) => number = libc.func('int close(int fd)')`. Koffi knows size_t, not ssize_t: it is intptr_t.
 */
export const libc = koffi.load(null);

/**
 * The error number that the last call of this thread left, positive. Only meaningful right after a call that failed; read
 * later it may be another, but never 0: what has failed is never taken for done. EIO stands for one that is gone.
 */
export function lastErrno(): number {
  return koffi.errno() || Errno.EIO;
}

/**
 * Passes on what a libc call returned, unless it was -1.
 * @param operation what was being done, for people.
 * @throws SystemError with the call's error number.
 */
export function checked(operation: string, result: number): number {
  if (result === -1) throw new SystemError({ operation, errno: lastErrno() });
  return result;
}

/** Makes a libc call again for as long as a signal interrupts it (EINTR), and gives what it returned. */
export function retryInterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -1 || lastErrno() !== Errno.EINTR) return result;
  }
}

/** close(2). Linux has closed the descriptor even where it says EINTR, so it is never called again. */
export const close: (fd: number) => number = libc.func('int close(int fd)');

/** dup2(2): makes `to` the same open file as `from`. */
export const dup2: (from: number, to: number) => number = libc.func('int dup2(int from, int to)');
