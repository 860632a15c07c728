/** Sockets of libc: calls, and constants from asm-generic/socket.h and linux/socket.h. */
import { libc } from './libc.js';

export const AF_NETLINK = 16;

export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;

export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

/** socket(2): a file descriptor, or -1. */
export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
);

/** bind(2): 0, or -1. */
export const bind: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int bind(int fd, const void *address, uint32_t length)',
);

/** getsockname(2): 0, or -1. `length` is the size of `address`, and then the number of bytes written. */
export const getsockname: (fd: number, address: Uint8Array, length: Uint32Array) => number = libc.func(
  'int getsockname(int fd, void *address, void *length)',
);

/** setsockopt(2) with a number: 0, or -1. */
export function setSocketOption(fd: number, level: number, option: number, value: number): number {
  return setsockopt(fd, level, option, Int32Array.of(value), 4);
}

/** setsockopt(2) with a structure: 0, or -1. */
export function setSocketBytes(fd: number, level: number, option: number, value: Uint8Array): number {
  return setsockopt(fd, level, option, value, value.length);
}

const setsockopt: (
  fd: number,
  level: number,
  option: number,
  value: Int32Array | Uint8Array,
  length: number,
) => number = libc.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)');

/** sendto(2): the number of bytes sent, or -1. */
export const sendto: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: number,
) => number = libc.func(
  'intptr_t sendto(int fd, const void *bytes, size_t length, int flags, const void *address, uint32_t address_length)',
);
