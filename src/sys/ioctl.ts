/**
 * ioctl(2): the call, and its request numbers.
 */
import { checked, libc, retryInterrupted } from './libc.js';

export { io, ior, iow, iowr } from './ioctl-request.js';

const ioctlBytes: (fd: number, request: number, argument: Uint8Array) => number = libc.func(
  'int ioctl(int fd, unsigned long request, void *argument)',
);

/**
 * ioctl(2) with an argument of bytes, which it may fill; it is repeated if a signal interrupts it.
 * @returns what the call returned: 0 for most requests
 * @throws SystemError
 */
export function ioctl(operation: string, fd: number, request: number, argument: Uint8Array): number {
  return checked(
    operation,
    retryInterrupted(() => ioctlBytes(fd, request, argument)),
  );
}

/** Plain ioctl(2), with a number or an address as its argument: what it returned, or -1. */
export const ioctlNumber: (fd: number, request: number, argument: number) => number = libc.func(
  'int ioctl(int fd, unsigned long request, intptr_t argument)',
);
