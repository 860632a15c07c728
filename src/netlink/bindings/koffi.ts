/**
 * Netlink through the C library, called with koffi. The default binding.
 *
 * Calls block the thread, for as long as the kernel takes: it handles a request inside the call that sends it.
 */
import { monotonicMs } from '../../sys/clock.js';
import { Errno } from '../../sys/errno.js';
import { close, lastErrno, uninterrupted } from '../../sys/libc.js';
import { POLLIN, poll, pollAsync } from '../../sys/poll.js';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  bind,
  getsockname,
  recvfrom,
  sendto,
  setSocketOption,
  socket,
} from '../../sys/socket.js';
import { littleEndian, viewOf } from '../bytes.js';
import { NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK } from '../constants.js';
import { NetlinkError, NetlinkUnavailableError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/**
 * The kernel makes the datagrams of a dump as large as the buffers it has seen, up to this: larger ones are rare.
 */
const dumpDatagramLength = 32768;

/**
 * Opens a netlink socket.
 * @param bufferLength length of the receive buffer until a longer datagram comes, in bytes.
 * @throws NetlinkUnavailableError where the machine has no netlink or not this protocol; NetlinkError where it refuses otherwise.
 */
export function openKoffiTransport(options: TransportOptions, bufferLength = dumpDatagramLength): NetlinkTransport {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, options.protocol);
  if (fd === -1) throw openError('open netlink socket', options.protocol);
  try {
    return new KoffiTransport(fd, options, bufferLength);
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
  #buffer: Uint8Array;
  readonly #waitBeside: boolean;
  readonly #sender = new Uint8Array(addressLength);
  readonly #senderView = viewOf(this.#sender);
  readonly #senderLength = new Uint32Array(1);

  constructor(fd: number, options: TransportOptions, bufferLength: number) {
    const { protocol, groups = [], receiveBufferSize } = options;
    this.#fd = fd;
    this.#waitBeside = options.waitBeside ?? false;
    this.#buffer = new Uint8Array(bufferLength);
    // Kernels before 4.12 and 4.3 do not know these; they answer without what was asked for.
    this.#tryOption(NETLINK_EXT_ACK, 1);
    this.#tryOption(NETLINK_CAP_ACK, 1);
    if (receiveBufferSize !== undefined) setReceiveBuffer(fd, receiveBufferSize);
    if (bind(fd, kernelAddress(), addressLength) === -1) throw openError('bind netlink socket', protocol);
    this.port = ownPort(fd);
    for (const group of groups) {
      if (setSocketOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group) === -1) {
        throw new NetlinkError({ operation: `join netlink multicast group ${group}`, errno: lastErrno() });
      }
    }
  }

  send(datagram: Uint8Array): void {
    const fd = this.#fd;
    const sent = uninterrupted(() => sendto(fd, datagram, datagram.length, 0, kernelAddress(), addressLength));
    if (sent === -1) throw new NetlinkError({ operation: 'send to netlink', errno: lastErrno() });
  }

  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array> {
    // The kernel has mostly answered before it is asked: then the clock, a system call, is not looked at.
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
      // The process cannot end while the other thread waits, and whoever closes the socket does not wake it.
      await pollAsync(this.#fd, POLLIN, Math.min(remaining, longestWaitBesideMs));
      const datagram = this.#take();
      if (datagram !== undefined) return datagram;
    }
  }

  /** The next datagram from the kernel; undefined where none is there yet. */
  #take(): Uint8Array | undefined {
    for (;;) {
      const length = this.#receiveFrom(0, MSG_PEEK);
      if (length === -1) {
        const errno = lastErrno();
        if (errno === Errno.EAGAIN) return undefined;
        if (errno !== Errno.EINTR) throw new NetlinkError({ operation: 'receive from netlink', errno });
        continue;
      }
      if (length > this.#buffer.length) this.#buffer = new Uint8Array(length);
      const received = this.#receiveFrom(this.#buffer.length, 0);
      if (received === -1) continue; // Whatever it is, the next call says it again or finds it gone.
      if (this.#isFromKernel()) return this.#buffer.slice(0, received);
    }
  }

  close(): void {
    if (this.#fd === -1) return;
    close(this.#fd);
    this.#fd = -1;
  }

  /** The length of the next datagram, of which `length` bytes go to the buffer; or -1. */
  #receiveFrom(length: number, flags: number): number {
    this.#senderLength[0] = addressLength;
    return recvfrom(this.#fd, this.#buffer, length, flags | MSG_TRUNC | MSG_DONTWAIT, this.#sender, this.#senderLength);
  }

  /** Anyone may send to a netlink socket's port; the kernel's own port is 0. */
  #isFromKernel(): boolean {
    return this.#senderLength[0] === addressLength && this.#senderView.getUint32(4, littleEndian) === 0;
  }

  /** Waits until there is something to read or a signal comes. */
  #wait(remainingMs: number): void {
    if (poll(this.#fd, POLLIN, checkedRemaining(remainingMs)) === -1 && lastErrno() !== Errno.EINTR) {
      throw new NetlinkError({ operation: 'wait for netlink', errno: lastErrno() });
    }
  }

  #tryOption(option: number, value: number): void {
    setSocketOption(this.#fd, SOL_NETLINK, option, value);
  }
}

/** The time that is left. @throws NetlinkError where there is none */
function checkedRemaining(remainingMs: number): number {
  if (remainingMs <= 0) throw new NetlinkError({ operation: 'receive from netlink', errno: Errno.ETIMEDOUT });
  return remainingMs;
}

/** `struct sockaddr_nl`: the family, padding, port 0 and no groups. To bind, port 0 asks for any; to send, it is the kernel's. */
function kernelAddress(): Uint8Array {
  const address = new Uint8Array(addressLength);
  viewOf(address).setUint16(0, AF_NETLINK, littleEndian);
  return address;
}

/** The port id that the kernel gave to a bound socket. */
function ownPort(fd: number): number {
  const address = new Uint8Array(addressLength);
  if (getsockname(fd, address, Uint32Array.of(addressLength)) === -1) {
    throw new NetlinkError({ operation: 'ask for the port of a netlink socket', errno: lastErrno() });
  }
  return viewOf(address).getUint32(4, littleEndian);
}

/** Past the system's limit where this process may, and up to it where not. */
function setReceiveBuffer(fd: number, bytes: number): void {
  if (setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) === -1) setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

function openError(operation: string, protocol: number): NetlinkError {
  const errno = lastErrno();
  const details = { operation: `${operation} (protocol ${protocol})`, errno };
  if (errno !== Errno.EAFNOSUPPORT && errno !== Errno.EPROTONOSUPPORT) return new NetlinkError(details);
  return new NetlinkUnavailableError({
    ...details,
    hint: 'The kernel has no such netlink, or keeps it from this process',
  });
}
