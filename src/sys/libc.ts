/**
 * The C library through FFI: calls without a module of their own (such as socket.ts, ioctl.ts), and error handling.
 *
 * Only src/sys/ calls it, and only there are addresses used.
 */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { koffi } from './koffi.js';

/**
 * The C library that this process already uses. Declare a function once, at the top of a module: `const close: (fd:
 * number) => number = libc.func('int close(int fd)')`. Koffi supports size_t, but not ssize_t: use intptr_t.
 */
export const libc = koffi.load(null);

/**
 * The error number of the last call of this thread, positive. Only meaningful right after a call that failed; later it
 * may be a different one, but never 0: a failure is never mistaken for success. EIO replaces a missing one.
 */
export function lastErrno(): number {
  return koffi.errno() || Errno.EIO;
}

/**
 * Returns the result of a libc call, unless it is -1.
 * @param operation a human-readable description of the operation.
 * @throws SystemError with the call's error number.
 */
export function checked(operation: string, result: number): number {
  if (result === -1) throw new SystemError({ operation, errno: lastErrno() });
  return result;
}

/** Repeats a libc call while a signal interrupts it (EINTR), and returns its result. */
export function retryInterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -1 || lastErrno() !== Errno.EINTR) return result;
  }
}

/** close(2). Linux closes the descriptor even if it returns EINTR, so it is never called again. */
export const close: (fd: number) => number = libc.func('int close(int fd)');

/** dup2(2): makes `to` refer to the same open file as `from`. */
export const dup2: (from: number, to: number) => number = libc.func('int dup2(int from, int to)');
