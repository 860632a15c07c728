/**
 * Netlink through the package node-netlink, an optional dependency: an alternative where koffi is not available.
 *
 * Its limitations:
 * - It sets no socket options: no extended acknowledgements, so no messages of the kernel, and no choice of buffer
 *   size.
 * - It does not report who sent a datagram, so that is not checked.
 * - It receives into 32 KiB; longer datagrams are rejected. It stops receiving after an error, which appears as a
 *   timeout.
 * - It makes requests only: no multicast groups. Closing takes 0.1 s.
 */
import type { NodeNetlink, Packet, Socket } from 'node-netlink';
import { Errno, strerror } from '../../sys/errno.js';
import { NLM_F_ACK } from '../constants.js';
import { NetlinkTransportError, NetlinkError, NetlinkProtocolError, NetlinkUnavailableError } from '../error.js';
import { decodeMessages, encodeMessage } from '../message.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** The package receives into a buffer of this length: a datagram that fills it was truncated, or may have been. */
const receiveBufferLength = 32768;

/**
 * Opens a netlink socket.
 * @throws NetlinkTransportError if the package is missing or not built, or does not support the options;
 * NetlinkUnavailableError if the machine has no netlink or not this protocol; NetlinkError for other errors.
 */
export async function openNodeNetlinkTransport({ protocol, groups = [] }: TransportOptions): Promise<NetlinkTransport> {
  if (groups.length > 0)
    throw new NetlinkTransportError('The netlink transport node-netlink cannot join multicast groups; use koffi.');
  const nodeNetlink = await loadPackage();
  let socket: Socket;
  try {
    socket = await nodeNetlink.open({ family: protocol });
  } catch (cause) {
    throw openError(protocol, cause);
  }
  return new NodeNetlinkTransport(socket);
}

async function loadPackage(): Promise<NodeNetlink> {
  try {
    return (await import('node-netlink')).default;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new NetlinkTransportError(
      `Failed to load the netlink transport node-netlink: ${reason ?? ''}. Install the package node-netlink and let its ` +
        'parts buffer2address and syscall-napi build (npm 11 needs "npm install-scripts approve buffer2address ' +
        'syscall-napi" for it), or unset VDPA_NETLINK_TRANSPORT to use koffi.',
      { cause },
    );
  }
}

class NodeNetlinkTransport implements NetlinkTransport {
  readonly port: number;
  readonly #socket: Socket;
  /** The current request: its sequence number for the caller and for the package. */
  #current = { ours: 0, theirs: 0n };
  readonly #received: Uint8Array[] = [];
  #failure: Error | undefined;
  /** Ends the wait for a datagram or failure. */
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.port = Number(socket.nl_pid);
    socket.on('message', (packet) => {
      this.#take(packet);
    });
  }

  send(datagram: Uint8Array): void {
    this.#checkOpen('send to netlink');
    for (const { type, flags, seq, payload } of decodeMessages(datagram)) {
      this.#current = { ours: seq, theirs: this.#current.theirs + 1n };
      this.#failure = undefined;
      // The package requires an acknowledgement. The kernel sends none for a dump.
      const header = { nlmsg_type: BigInt(type), nlmsg_flags: BigInt(flags | NLM_F_ACK) };
      this.#socket.tryTalk({ header, payload }).catch((cause: unknown) => {
        // The time limit of the package does not matter: receive() has one.
        if (errorText(cause) !== 'timeout reached') this.#fail(systemError('send to netlink', cause));
      });
    }
  }

  async receive(timeoutMs: number): Promise<Uint8Array> {
    this.#checkOpen('receive from netlink');
    if (this.#received.length === 0 && this.#failure === undefined) await this.#wait(timeoutMs);
    const datagram = this.#received.shift();
    if (datagram !== undefined) return datagram;
    throw this.#failure ?? new NetlinkError({ operation: 'receive from netlink', errno: Errno.ETIMEDOUT });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#socket.close();
  }

  #checkOpen(operation: string): void {
    if (this.#closed) throw new NetlinkError({ operation, errno: Errno.EBADF });
  }

  #wait(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take({ header, payload }: Packet): void {
    if (header.nlmsg_seq !== this.#current.theirs) return; // A late answer to a request that timed out.
    if (payload.buffer.byteLength >= receiveBufferLength) {
      this.#fail(
        new NetlinkProtocolError(
          `netlink datagram is cut off: node-netlink receives ${receiveBufferLength} bytes at most`,
        ),
      );
      return;
    }
    this.#received.push(
      encodeMessage({
        type: Number(header.nlmsg_type),
        flags: Number(header.nlmsg_flags),
        seq: this.#current.ours,
        port: Number(header.nlmsg_pid),
        payload,
      }),
    );
    this.#wake?.();
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#wake?.();
  }
}

function openError(protocol: number, cause: unknown): Error {
  const error = systemError(`open netlink socket (protocol ${protocol})`, cause);
  if (error.errno !== Errno.EAFNOSUPPORT && error.errno !== Errno.EPROTONOSUPPORT) return error;
  const { operation, errno } = error;
  return new NetlinkUnavailableError({
    operation,
    errno,
    hint: 'This netlink protocol is not supported by the kernel, or not permitted here',
    cause,
  });
}

/** Errors of the package contain glibc's text for the error number instead of the number. */
function systemError(operation: string, cause: unknown): NetlinkError {
  const text = errorText(cause);
  const errno = Object.values(Errno).find((number) => strerror(number) === text);
  if (errno === undefined) return new NetlinkError({ operation, errno: Errno.EIO, hint: text, cause });
  return new NetlinkError({ operation, errno, cause });
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
