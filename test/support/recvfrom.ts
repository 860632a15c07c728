import { libc } from '../../src/sys/libc.js';

/** recvfrom(2): the size of the datagram in bytes (with MSG_TRUNC even if `buffer` is shorter), or -1. */
export const recvfrom: (
  fd: number,
  buffer: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: Uint32Array,
) => number = libc.func(
  'intptr_t recvfrom(int fd, void *buffer, size_t length, int flags, void *address, void *address_length)',
);
