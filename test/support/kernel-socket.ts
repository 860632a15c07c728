import { Errno } from '../../src/sys/errno.js';
import { close, lastErrno } from '../../src/sys/libc.js';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  bind,
  sendto,
  setSocketOption,
  socket,
} from '../../src/sys/socket.js';
import { recvfrom } from './recvfrom.js';
import { NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GENERIC } from '../../src/netlink/constants.js';
import type { NetlinkSocketOptions } from '../../src/sim/netlink/socket.js';

/** A minimal generic netlink socket of the machine's kernel: datagrams out and in, and errnos. */
export class KernelSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(65_536);
  readonly #address = new Uint8Array(12);
  readonly #addressLength = Uint32Array.of(12);

  constructor({ extendedAck, cappedAck }: NetlinkSocketOptions) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    this.#address[0] = AF_NETLINK;
    if (this.#fd === -1 || bind(this.#fd, this.#address, 12) === -1) throw new Error(`no socket: errno ${lastErrno()}`);
    setSocketOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, extendedAck ? 1 : 0);
    setSocketOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, cappedAck ? 1 : 0);
  }

  send(datagram: Uint8Array): void {
    const address = Uint8Array.from({ length: 12 }, (_none, at) => (at === 0 ? AF_NETLINK : 0));
    if (sendto(this.#fd, datagram, datagram.length, 0, address, 12) === -1)
      throw new Error(`send: errno ${lastErrno()}`);
  }

  /** The next datagram for a reader with a buffer of `size` bytes, undefined if none is waiting. */
  receive(size: number): Uint8Array | undefined {
    this.#addressLength[0] = 12;
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const length = recvfrom(this.#fd, this.#buffer, size, flags, this.#address, this.#addressLength);
    if (length === -1) {
      if (lastErrno() === Errno.EAGAIN) return undefined;
      throw new Error(`receive: errno ${lastErrno()}`);
    }
    return this.#buffer.slice(0, Math.min(length, size));
  }

  close(): void {
    close(this.#fd);
  }
}
