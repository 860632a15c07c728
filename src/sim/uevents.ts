/** A socket that receives the uevents of a simulated machine: those that any process causes. */
import { mkdirSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { NetlinkError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { encodeUevent } from './machine/uevents.js';
import type { FileStore } from './state/file-store.js';
import type { UeventEntries } from './state/store.js';
import { UeventLogReader, ueventLogPath } from './state/uevent-log.js';

/** Receives the events that are broadcast after it was opened. */
export class SimulatedUevents implements NetlinkTransport {
  readonly port = process.pid;
  readonly #log: UeventLogReader;
  readonly #watcher: FSWatcher;
  readonly #waiting: UeventEntries[] = [];
  #last: number;
  #wake: (() => void) | undefined;
  #closed = false;

  /** @throws SimulationError if the state cannot be read; errors of node:fs if its folder cannot be watched */
  constructor(store: FileStore) {
    const folder = dirname(store.path);
    const log = ueventLogPath(store.path);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // The log may be replaced by another file, so its folder is watched.
    this.#watcher = watch(folder, (_event, name) => {
      if (name === basename(log)) this.#wake?.();
    });
    this.#log = new UeventLogReader(log);
    this.#last = store.read().kernel.seqnum;
  }

  send(): never {
    throw new NetlinkError({ operation: 'send to the kernel', errno: Errno.EOPNOTSUPP });
  }

  async receive(timeoutMs: number): Promise<Uint8Array> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const next = this.#next();
      if (next) return encodeUevent(next);
      const remaining = deadline - performance.now();
      if (remaining <= 0 || this.#closed) {
        throw new NetlinkError({ operation: 'wait for an event', errno: Errno.ETIMEDOUT });
      }
      await this.#change(remaining);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#log.close();
    this.#wake?.();
  }

  /**
   * The next event that is not covered by the state when this was opened.
   * @throws NetlinkError ENOBUFS if events are missing: the log was replaced twice, or the machine was booted
   */
  #next(): UeventEntries | undefined {
    if (this.#closed) return undefined;
    if (this.#waiting.length === 0) this.#waiting.push(...this.#log.read());
    for (let uevent = this.#waiting[0]; uevent !== undefined; uevent = this.#waiting[0]) {
      const number = sequenceNumber(uevent);
      if (number === this.#last + 1) {
        this.#last = number;
        return this.#waiting.shift();
      }
      if (number > this.#last || number === 1) {
        this.#last = number - 1;
        throw new NetlinkError({ operation: 'receive an event', errno: Errno.ENOBUFS });
      }
      this.#waiting.shift();
    }
    return undefined;
  }

  /** Waits until the log may have changed. */
  async #change(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.min(timeoutMs, MAX_TIMEOUT));
      // What was appended before the promise was made woke nobody.
      if (this.#pull()) resolve();
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }

  /** Reads what was appended. Returns whether there is anything. */
  #pull(): boolean {
    if (!this.#closed) this.#waiting.push(...this.#log.read());
    return this.#waiting.length > 0;
  }
}

/** The longest time that a timer of Node.js measures, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

function sequenceNumber(uevent: UeventEntries): number {
  const entry = uevent.find((candidate) => candidate.startsWith('SEQNUM='));
  return entry === undefined ? 0 : Number(entry.slice('SEQNUM='.length));
}
