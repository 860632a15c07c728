/** A socket that receives the uevents of a simulated machine in memory. */
import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { encodeUevent } from './machine/uevents.js';
import type { MemoryStore } from './state/store.js';

/** Receives the events that are broadcast after it was opened, and keeps them until they are read. */
export class MemoryUevents implements NetlinkTransport {
  readonly port = process.pid;
  readonly #waiting: Uint8Array[] = [];
  readonly #leave: () => void;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(store: MemoryStore) {
    this.#leave = store.listen((uevent) => {
      this.#waiting.push(encodeUevent(uevent));
      this.#wake?.();
    });
  }

  send(): never {
    throw new NetlinkError({ operation: 'send to the kernel', errno: Errno.EOPNOTSUPP });
  }

  async receive(timeoutMs: number): Promise<Uint8Array> {
    if (this.#waiting.length === 0 && !this.#closed) await this.#change(timeoutMs);
    const next = this.#waiting.shift();
    if (next !== undefined) return next;
    throw new NetlinkError({ operation: 'wait for an event', errno: Errno.ETIMEDOUT });
  }

  close(): void {
    this.#closed = true;
    this.#leave();
    this.#waiting.length = 0;
    this.#wake?.();
  }

  /** Waits for an event, the end of the time, or the end of the socket. */
  async #change(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.min(timeoutMs, MAX_TIMEOUT));
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

/** The longest time that a timer of Node.js measures, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;
