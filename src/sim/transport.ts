import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import type { SimulatedKernel } from './kernel.js';
import type { NetlinkSocketEnd, NetlinkSocketOptions } from './netlink/socket.js';

/** The maximum size of a sent datagram: the default send buffer less the kernel's overhead. */
const maxDatagramSize = 212_992 - 32;
/** The receive buffer of the sockets of vdpa. */
const receiveBufferSize = 32_768;

/** Properties of a simulated socket. */
export interface SimulatedTransportOptions extends Partial<NetlinkSocketOptions> {
  /** The user of the socket; only 0, root, may change things. By default that of the machine. */
  readonly uid?: number;
  /** The port; by default the process ID, like the kernel chooses for the first socket. */
  readonly port?: number;
  /** The receive buffer in bytes: a larger one gets larger datagrams of a dump. */
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

  /** Waits for the simulated time that the kernel took. */
  #elapse(): Promise<void> | undefined {
    const delay = this.#kernel.takeDelay();
    return delay === 0 ? undefined : sleep(delay);
  }
}

/** The error of a reader without an answer: a simulated kernel only answers requests of the reader itself. */
async function timeOut(timeoutMs: number): Promise<never> {
  await sleep(timeoutMs);
  throw new NetlinkError({ operation: 'wait for the kernel', errno: Errno.ETIMEDOUT });
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
