import type { Worker } from 'node:worker_threads';
import type { NbdExport } from '../../../nbd/handshake.js';
import { openEventfd } from '../../../sys/events.js';
import { close } from '../../../sys/libc.js';
import { startThread } from '../../engine/start-thread.js';
import { VduseError } from '../../error.js';
import { Link, type NbdLinkState, type SharedLink } from './link.js';

/** Start-up data of the thread of the connections. Times are milliseconds. */
export interface ConnectorOptions {
  readonly uri: string;
  /** One for each data thread that the device may have. */
  readonly links: readonly SharedLink[];
  /** An eventfd, which the data threads signal. */
  readonly wake: number;
  readonly reconnectMs: number;
  /** For so long, a server that does not answer is tried again at the start. */
  readonly patienceMs: number;
  readonly silenceMs: number;
  readonly connectMs: number;
}

/** Messages of the thread of the connections. */
export type ConnectorReply =
  | { readonly type: 'opened'; readonly export: NbdExport; readonly connections: number }
  | { readonly type: 'refused'; readonly text: string }
  | { readonly type: 'changed'; readonly link: number; readonly state: NbdLinkState; readonly reason?: string };

/** How to connect to an export. */
export interface ConnectionOptions {
  readonly uri: string;
  /** At most so many connections. */
  readonly threads: number;
  /** For how long requests wait for a server that is gone, in seconds. */
  readonly reconnect: number;
  /** An instance that exists already waits for its NBD server as long. */
  readonly takeOver: boolean;
  /** After this time without an answer, a server is taken for dead, in milliseconds. */
  readonly silenceMs?: number;
  /** Time limit of a handshake, in milliseconds. */
  readonly connectMs?: number;
}

/** The connections to the NBD server of a device. */
export interface NbdConnectionStatus {
  /** That of the worst of them. */
  readonly state: NbdLinkState;
  /** How many they are. */
  readonly count: number;
  /** Why it is not connected. */
  readonly reason?: string;
}

const SILENCE_MS = 60_000;
const CONNECT_MS = 10_000;
/** Time limit for ending the connections. */
const CLOSE_TIMEOUT_MS = 10_000;

const badness: readonly NbdLinkState[] = ['connected', 'reconnecting', 'failed'];

/** The connections of a device, for its main thread. A thread of their own makes them. */
export class NbdConnections {
  readonly export: NbdExport;
  /** One for each connection. */
  readonly links: readonly Link[];
  readonly #all: readonly Link[];
  readonly #wake: number;
  readonly #worker: Worker;
  readonly #states: { state: NbdLinkState; reason?: string }[];
  #follow: (status: NbdConnectionStatus) => void = () => undefined;

  /** @throws VduseError, SystemError */
  static async open(options: ConnectionOptions): Promise<NbdConnections> {
    const wake = openEventfd();
    const links = Array.from({ length: options.threads }, () => Link.open(wake));
    const reconnectMs = options.reconnect * 1000;
    const start: ConnectorOptions = {
      uri: options.uri,
      links: links.map(({ shared }) => shared),
      wake,
      reconnectMs,
      patienceMs: options.takeOver ? reconnectMs : 0,
      silenceMs: options.silenceMs ?? SILENCE_MS,
      connectMs: options.connectMs ?? CONNECT_MS,
    };
    const worker = startThread('nbd-thread', {
      workerData: start,
    });
    const first = await new Promise<ConnectorReply>((resolve, reject) => {
      worker.on('message', (notice: ConnectorReply) => {
        if (notice.type !== 'changed') resolve(notice);
      });
      worker.once('error', reject);
    });
    worker.removeAllListeners('message');
    if (first.type === 'opened') return new NbdConnections(worker, wake, links, first);
    for (const link of links) link.close();
    close(wake);
    throw new VduseError(first.type === 'refused' ? first.text : 'The NBD server was not connected');
  }

  private constructor(
    worker: Worker,
    wake: number,
    links: readonly Link[],
    opened: Extract<ConnectorReply, { type: 'opened' }>,
  ) {
    this.#worker = worker;
    this.#wake = wake;
    this.#all = links;
    this.export = opened.export;
    this.links = links.slice(0, opened.connections);
    this.#states = this.links.map(() => ({ state: 'connected' }));
    worker.unref();
    worker.on('message', (notice: ConnectorReply) => {
      if (notice.type !== 'changed') return;
      const { link, state, reason } = notice;
      this.#states[link] = { state, ...(reason !== undefined && { reason }) };
      this.#follow(this.status);
    });
  }

  get status(): NbdConnectionStatus {
    let worst = this.#states[0] ?? { state: 'failed' as const };
    for (const each of this.#states) if (badness.indexOf(each.state) > badness.indexOf(worst.state)) worst = each;
    return { ...worst, count: this.links.length };
  }

  /** @param changed called when the state of a connection has changed */
  follow(changed: (status: NbdConnectionStatus) => void): void {
    this.#follow = changed;
  }

  /** Ends the connections, which no data thread uses any longer. @returns false if that takes too long */
  async close(): Promise<boolean> {
    const worker = this.#worker;
    const ended = new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS, false);
      worker.once('exit', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    worker.ref();
    worker.postMessage('close');
    const done = await ended;
    if (!done) return false;
    for (const link of this.#all) link.close();
    close(this.#wake);
    return true;
  }
}
