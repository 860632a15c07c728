/**
 * Netlink through the C library, called with koffi. The default transport.
 *
 * Calls block the thread while the kernel works: it handles a request inside the call that sends it.
 */
import { monotonicMs } from '../../sys/clock.js';
import { DatagramReader } from '../../sys/datagrams.js';
import { Errno } from '../../sys/errno.js';
import { close, lastErrno, retryInterrupted } from '../../sys/libc.js';
import { POLLIN, poll, pollAsync } from '../../sys/poll.js';
import {
  AF_NETLINK,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  bind,
  getsockname,
  sendto,
  setSocketOption,
  socket,
} from '../../sys/socket.js';
import { littleEndian, viewOf } from '../bytes.js';
import { NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK } from '../constants.js';
import { NetlinkError, NetlinkUnavailableError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** How many datagrams are received in one call: an answer and its acknowledgement, or a good part of a dump. */
const datagramsAtOnce = 8;
/**
 * The longest datagram that is received, in bytes. The kernel makes the datagrams of a dump as long as the buffers it
 * has seen, up to 32 KiB, and longer ones only for content that cannot be split: an attribute has at most 64 KiB.
 */
const longestDatagram = 1 << 20;

/**
 * Opens a netlink socket.
 * @param room the longest datagram that is received, in bytes.
 * @throws NetlinkUnavailableError if the machine has no netlink or not this protocol; NetlinkError for other errors.
 */
export function openKoffiTransport(options: TransportOptions, room = longestDatagram): NetlinkTransport {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, options.protocol);
  if (fd === -1) throw openError('open netlink socket', options.protocol);
  try {
    return new KoffiTransport(fd, options, room);
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** The longest wait of one call on another thread, in milliseconds. */
const longestWaitBesideMs = 200;

/** Length of `struct sockaddr_nl` of linux/netlink.h. */
const addressLength = 12;

class KoffiTransport implements NetlinkTransport {
  readonly port: number;
  /** -1 once closed. */
  #fd: number;
  readonly #waitBeside: boolean;
  readonly #room: number;
  readonly #reader: DatagramReader;
  /** Number of received datagrams, and the index of the next one. */
  #received = 0;
  #next = 0;

  constructor(fd: number, options: TransportOptions, room: number) {
    const { protocol, groups = [], receiveBufferSize } = options;
    this.#fd = fd;
    this.#waitBeside = options.waitBeside ?? false;
    // Kernels before 4.12 and 4.3 do not support these options, and answer without them.
    this.#tryOption(NETLINK_EXT_ACK, 1);
    this.#tryOption(NETLINK_CAP_ACK, 1);
    if (options.strictChecks === true) this.#tryOption(NETLINK_GET_STRICT_CHK, 1);
    if (receiveBufferSize !== undefined) setReceiveBuffer(fd, receiveBufferSize);
    if (bind(fd, kernelAddress, addressLength) === -1) throw openError('bind netlink socket', protocol);
    this.port = ownPort(fd);
    for (const group of groups) {
      if (setSocketOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group) === -1) {
        throw new NetlinkError({ operation: `join netlink multicast group ${group}`, errno: lastErrno() });
      }
    }
    this.#room = room;
    this.#reader = new DatagramReader(datagramsAtOnce, room);
  }

  send(datagram: Uint8Array): void {
    const fd = this.#fd;
    const sent = retryInterrupted(() => sendto(fd, datagram, datagram.length, 0, kernelAddress, addressLength));
    if (sent === -1) throw new NetlinkError({ operation: 'send to netlink', errno: lastErrno() });
  }

  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array> {
    // The kernel has usually answered already: then the clock, which is a system call, is not read.
    const first = this.#take();
    if (first !== undefined) return first;
    const deadline = monotonicMs() + timeoutMs;
    if (this.#waitBeside) return this.#receiveBeside(deadline);
    for (;;) {
      this.#wait(deadline - monotonicMs());
      const datagram = this.#take();
      if (datagram !== undefined) return datagram;
    }
  }

  async #receiveBeside(deadline: number): Promise<Uint8Array> {
    for (;;) {
      const remaining = checkedRemaining(deadline - monotonicMs());
      // The process does not exit while the other thread waits, and closing the socket does not wake it.
      await pollAsync(this.#fd, POLLIN, Math.min(remaining, longestWaitBesideMs));
      const datagram = this.#take();
      if (datagram !== undefined) return datagram;
    }
  }

  /** The next datagram from the kernel; undefined if there is none yet. */
  #take(): Uint8Array | undefined {
    for (;;) {
      if (this.#next === this.#received && !this.#receive()) return undefined;
      const index = this.#next++;
      if (!isFromKernel(this.#reader.sender(index))) continue;
      const length = this.#reader.length(index);
      if (length <= this.#room) return this.#reader.content(index);
      const hint = `The kernel sent ${length} bytes at once; at most ${this.#room} can be received`;
      throw new NetlinkError({ operation: 'receive from netlink', errno: Errno.EMSGSIZE, hint });
    }
  }

  /** Receives available datagrams. @returns whether there were any */
  #receive(): boolean {
    if (this.#fd === -1) throw new NetlinkError({ operation: 'receive from netlink', errno: Errno.EBADF });
    const count = retryInterrupted(() => this.#reader.receive(this.#fd));
    this.#next = 0;
    this.#received = Math.max(0, count);
    if (count !== -1) return true;
    const errno = lastErrno();
    if (errno === Errno.EAGAIN) return false;
    throw new NetlinkError({ operation: 'receive from netlink', errno });
  }

  close(): void {
    if (this.#fd === -1) return;
    close(this.#fd);
    this.#fd = -1;
    this.#received = this.#next = 0;
    this.#reader.free();
  }

  /** Waits until data is available or a signal arrives. */
  #wait(remainingMs: number): void {
    if (poll(this.#fd, POLLIN, checkedRemaining(remainingMs)) === -1 && lastErrno() !== Errno.EINTR) {
      throw new NetlinkError({ operation: 'wait for netlink', errno: lastErrno() });
    }
  }

  #tryOption(option: number, value: number): void {
    setSocketOption(this.#fd, SOL_NETLINK, option, value);
  }
}

/** The remaining time. @throws NetlinkError if there is none */
function checkedRemaining(remainingMs: number): number {
  if (remainingMs <= 0) throw new NetlinkError({ operation: 'receive from netlink', errno: Errno.ETIMEDOUT });
  return remainingMs;
}

/**
 * `struct sockaddr_nl`: the family, padding, port 0 and no groups. For bind, port 0 requests any port; for send, it is
 * the kernel's.
 */
const kernelAddress = new Uint8Array(addressLength);
viewOf(kernelAddress).setUint16(0, AF_NETLINK, littleEndian);

/** Anyone may send to a netlink socket's port; the kernel's own port is 0. */
function isFromKernel(sender: Uint8Array): boolean {
  return sender.length === addressLength && viewOf(sender).getUint32(4, littleEndian) === 0;
}

/** The port id that the kernel assigned to a bound socket. */
function ownPort(fd: number): number {
  const address = new Uint8Array(addressLength);
  if (getsockname(fd, address, Uint32Array.of(addressLength)) === -1) {
    throw new NetlinkError({ operation: 'get the port of a netlink socket', errno: lastErrno() });
  }
  return viewOf(address).getUint32(4, littleEndian);
}

/** Beyond the system's limit if this process may exceed it, else up to the limit. */
function setReceiveBuffer(fd: number, bytes: number): void {
  if (setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) === -1) setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

function openError(operation: string, protocol: number): NetlinkError {
  const errno = lastErrno();
  const details = { operation: `${operation} (protocol ${protocol})`, errno };
  if (errno !== Errno.EAFNOSUPPORT && errno !== Errno.EPROTONOSUPPORT) return new NetlinkError(details);
  return new NetlinkUnavailableError({
    ...details,
    hint: 'This netlink protocol is not supported by the kernel, or not permitted here',
  });
}
