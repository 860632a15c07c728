import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import type { SimulatedKernel } from './kernel.js';
import type { NetlinkSocketEnd, NetlinkSocketOptions } from './netlink/socket.js';

/** What a socket of the machine may send at most: the usual send buffer less the kernel's own need. */
const maxDatagramSize = 212_992 - 32;
/** What the tool's own sockets read with. */
const receiveBufferSize = 32_768;

/** What a simulated socket is like. */
export interface SimulatedTransportOptions extends Partial<NetlinkSocketOptions> {
  /** The user of the socket; only 0, root, may change things. By default the machine's. */
  readonly uid?: number;
  /** The port; by default the process's id, as the kernel chooses for a first socket. */
  readonly port?: number;
  /** The reader's buffer in bytes: a bigger one gets bigger datagrams of a dump. */
  readonly receiveBufferSize?: number;
}

/** A socket to a simulated kernel. */
export class SimulatedTransport implements NetlinkTransport {
  readonly port: number;
  readonly #kernel: SimulatedKernel;
  readonly #end: NetlinkSocketEnd;
  readonly #uid: number | undefined;
  readonly #receiveBufferSize: number;

  constructor(kernel: SimulatedKernel, options: SimulatedTransportOptions = {}) {
    this.port = options.port ?? process.pid;
    this.#kernel = kernel;
    this.#uid = options.uid;
    this.#receiveBufferSize = options.receiveBufferSize ?? receiveBufferSize;
    const { extendedAck = true, cappedAck = true } = options;
    this.#end = kernel.openSocket(this.port, { extendedAck, cappedAck });
  }

  send(datagram: Uint8Array): void | Promise<void> {
    if (datagram.length === 0) throw new NetlinkError({ operation: 'send to the kernel', errno: Errno.ENODATA });
    if (datagram.length > maxDatagramSize) {
      throw new NetlinkError({ operation: 'send to the kernel', errno: Errno.EMSGSIZE });
    }
    const { machine } = this.#kernel;
    const prepared = this.#kernel.mayChange(datagram) ? machine.prepare?.() : undefined;
    return prepared === undefined ? this.#deliver(datagram) : prepared.then(() => this.#deliver(datagram));
  }

  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array> {
    const datagram = this.#end.receive(Math.max(this.#receiveBufferSize, this.#end.waiting ?? 0));
    if (datagram === undefined) return timeOut(timeoutMs);
    const elapsed = this.#elapse();
    return elapsed === undefined ? datagram : elapsed.then(() => datagram);
  }

  close(): void {
    this.#kernel.machine.close?.();
  }

  #deliver(datagram: Uint8Array): void | Promise<void> {
    const uid = this.#uid ?? this.#kernel.machine.read().machine.uid;
    this.#end.deliver(datagram, uid === 0);
    return this.#elapse();
  }

  /** Lets pass the time that the kernel took. */
  #elapse(): Promise<void> | undefined {
    const delay = this.#kernel.takeDelay();
    return delay === 0 ? undefined : sleep(delay);
  }
}

/** What a reader without an answer gets: nobody but the reader itself ever makes a simulated kernel say something. */
async function timeOut(timeoutMs: number): Promise<never> {
  await sleep(timeoutMs);
  throw new NetlinkError({ operation: 'wait for the kernel', errno: Errno.ETIMEDOUT });
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
