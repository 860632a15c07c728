/** Stream sockets of libc: TCP and unix. Constants from asm-generic/socket.h, linux/in.h, linux/tcp.h. */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { checked, close, lastErrno, libc } from './libc.js';
import { NativeBuffer, writeAddress } from './memory.js';
import { setSocketOption, socket, SOCK_CLOEXEC, SOL_SOCKET } from './socket.js';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SO_ERROR = 4;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_USER_TIMEOUT = 18;
const SHUT_RDWR = 2;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;

const connectCall: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, const void *address, uint32_t length)',
);
const getsockopt: (fd: number, level: number, option: number, value: Int32Array, length: Uint32Array) => number =
  libc.func('int getsockopt(int fd, int level, int option, void *value, void *length)');
const shutdownCall: (fd: number, how: number) => number = libc.func('int shutdown(int fd, int how)');
const socketpair: (domain: number, type: number, protocol: number, fds: number) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, uintptr_t fds)',
);
const sendmsg: (fd: number, message: number, flags: number) => number = libc.func(
  'intptr_t sendmsg(int fd, uintptr_t message, int flags)',
);
const recvmsg: (fd: number, message: number, flags: number) => number = libc.func(
  'intptr_t recvmsg(int fd, uintptr_t message, int flags)',
);
const sendCall: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'intptr_t send(int fd, const void *bytes, size_t length, int flags)',
);
const recvCall: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'intptr_t recv(int fd, void *bytes, size_t length, int flags)',
);

const inetPton: (family: number, text: string, bytes: Uint8Array) => number = libc.func(
  'int inet_pton(int family, const char *text, void *bytes)',
);

/** Where a server listens. The path of an abstract unix socket begins with NUL. */
export type StreamAddress =
  | { readonly type: 'ipv4' | 'ipv6'; readonly address: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string };

/** struct sockaddr_in, sockaddr_in6 and sockaddr_un. @throws SystemError for an address that is none */
function encodeAddress(
  operation: string,
  address: StreamAddress,
): { readonly domain: number; readonly bytes: Uint8Array } {
  if (address.type === 'unix') {
    const path = Buffer.from(address.path);
    // The length of an abstract name tells where it ends; that of a file is followed by NUL.
    const bytes = new Uint8Array(2 + path.length + (path[0] === 0 ? 0 : 1));
    new DataView(bytes.buffer).setUint16(0, AF_UNIX, isLittleEndian);
    bytes.set(path, 2);
    return { domain: AF_UNIX, bytes };
  }
  const isOld = address.type === 'ipv4';
  const domain = isOld ? AF_INET : AF_INET6;
  const bytes = new Uint8Array(isOld ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, domain, isLittleEndian);
  view.setUint16(2, address.port);
  const host = bytes.subarray(isOld ? 4 : 8);
  if (inetPton(domain, address.address, host) !== 1) throw new SystemError({ operation, errno: Errno.EINVAL });
  return { domain, bytes };
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Begins to connect a non-blocking socket.
 * @returns the descriptor; once it is writable, {@link connectResult} tells whether it is connected
 * @throws SystemError
 */
export function beginConnect(operation: string, address: StreamAddress): number {
  const { domain, bytes } = encodeAddress(operation, address);
  const fd = checked(operation, socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connectCall(fd, bytes, bytes.length) === 0) return fd;
  const errno = lastErrno();
  if (errno === Errno.EINPROGRESS) return fd;
  close(fd);
  throw new SystemError({ operation, errno });
}

/** The result of connecting a socket: 0, or an error number. @throws SystemError */
export function connectResult(fd: number): number {
  const value = new Int32Array(1);
  checked('get the result of connecting', getsockopt(fd, SOL_SOCKET, SO_ERROR, value, Uint32Array.of(4)));
  return value[0] ?? 0;
}

/** When a TCP connection is taken for dead, in seconds. */
export interface KeepAlive {
  /** Silence after which the other end is asked whether it is still there, and between two such questions. */
  readonly idle: number;
  readonly interval: number;
  /** So many questions without an answer end the connection. */
  readonly count: number;
  /** Data that is not acknowledged for so long ends it. */
  readonly unacknowledged: number;
}

/** Sends small requests at once, and notices when the other end is gone. @throws SystemError */
export function setUpTcp(fd: number, { idle, interval, count, unacknowledged }: KeepAlive): void {
  const set = (name: string, level: number, option: number, value: number): void => {
    checked(`set ${name}`, setSocketOption(fd, level, option, value));
  };
  set('TCP_NODELAY', IPPROTO_TCP, TCP_NODELAY, 1);
  set('SO_KEEPALIVE', SOL_SOCKET, SO_KEEPALIVE, 1);
  set('TCP_KEEPIDLE', IPPROTO_TCP, TCP_KEEPIDLE, idle);
  set('TCP_KEEPINTVL', IPPROTO_TCP, TCP_KEEPINTVL, interval);
  set('TCP_KEEPCNT', IPPROTO_TCP, TCP_KEEPCNT, count);
  set('TCP_USER_TIMEOUT', IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged * 1000);
}

/** Two connected non-blocking unix sockets. @throws SystemError */
export function openStreamPair(): readonly [number, number] {
  const fds = new NativeBuffer(8);
  try {
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    checked('create a pair of sockets', socketpair(AF_UNIX, type, 0, fds.address));
    const [one = -1, other = -1] = fds.u32;
    return [one, other];
  } finally {
    fds.free();
  }
}

/** Ends a connection for both ends; its descriptor stays open. It may have ended already. */
export function shutdown(fd: number): void {
  shutdownCall(fd, SHUT_RDWR);
}

/** Sends bytes without waiting. @returns how many, or a negative error number: EAGAIN if there is no room */
export function send(fd: number, bytes: Uint8Array): number {
  const result = sendCall(fd, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
  return result === -1 ? -lastErrno() : result;
}

/** Receives bytes without waiting. @returns how many, 0 at the end, or a negative error number: EAGAIN for none yet */
export function receive(fd: number, bytes: Uint8Array): number {
  const result = recvCall(fd, bytes, bytes.length, MSG_DONTWAIT);
  return result === -1 ? -lastErrno() : result;
}

/** Offsets in a struct msghdr on a 64-bit machine, in words of 32 bits. */
const MSG_IOV = 4;
const MSG_IOVLEN = 6;
const MSG_BYTES = 56;

/** Sends from and receives into several pieces of memory without waiting: a reusable struct msghdr. */
export class SocketMessage {
  readonly #header = new NativeBuffer(MSG_BYTES);

  /** @param vector the address of `count` struct iovec. @returns as {@link send} */
  send(fd: number, vector: number, count: number): number {
    this.#set(vector, count);
    const result = sendmsg(fd, this.#header.address, MSG_NOSIGNAL | MSG_DONTWAIT);
    return result === -1 ? -lastErrno() : result;
  }

  /** @param vector the address of `count` struct iovec. @returns as {@link receive} */
  receive(fd: number, vector: number, count: number): number {
    this.#set(vector, count);
    const result = recvmsg(fd, this.#header.address, MSG_DONTWAIT);
    return result === -1 ? -lastErrno() : result;
  }

  #set(vector: number, count: number): void {
    writeAddress(this.#header.u32, MSG_IOV, vector);
    this.#header.u32[MSG_IOVLEN] = count;
  }

  free(): void {
    this.#header.free();
  }
}
