import { connectFailure, connectNbd, type NbdConnection } from '../../../nbd/connect.js';
import type { NbdExport } from '../../../nbd/handshake.js';
import type { TlsOptions } from '../../../nbd/tls.js';
import type { NbdUri } from '../../../nbd/uri.js';
import { monotonicMs } from '../../../sys/clock.js';
import { close } from '../../../sys/libc.js';
import { shutdown } from '../../../sys/stream-socket.js';
import { sleep } from '../../../sys/wait.js';
import type { Link, NbdLinkState } from './link.js';

/** How connections are made. Times are milliseconds. */
export interface KeeperOptions {
  readonly uri: NbdUri;
  readonly tls: TlsOptions | undefined;
  /** For so long, requests wait for a server that is gone. */
  readonly reconnectMs: number;
  /** A server that answers no request for so long, while there are some, is taken for dead. */
  readonly silenceMs: number;
  /** For the whole handshake. */
  readonly connectMs: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;

/** Connects once. @throws SystemError, NbdProtocolError, NbdRefusedError; the reason of the signal */
export async function connectInTime({ uri, tls, connectMs, signal }: KeeperOptions): Promise<NbdConnection> {
  const limit = AbortSignal.timeout(connectMs);
  try {
    return await connectNbd(uri, tls, AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) {
      const text = `The NBD server does not answer: no connection within ${connectMs / 1000} s`;
      throw new Error(text, { cause: error });
    }
    throw error;
  }
}

/** Keeps one connection of a data thread: makes it again when it is lost. */
export class Keeper {
  readonly #link: Link;
  readonly #options: KeeperOptions;
  readonly #export: NbdExport;
  readonly #changed: (state: NbdLinkState, reason?: string) => void;
  #connection: NbdConnection | undefined;
  #reconnecting: Promise<void> | undefined;
  /** When requests began to go without an answer, and the timer for the end of patience. */
  #outageSince: number | undefined;
  #patience: NodeJS.Timeout | undefined;
  /** Before the next attempt. A server that accepts connections and ends them at once does not shorten it. */
  #delay = 0;
  #connectedAt = monotonicMs();
  #answered = 0;
  #progressAt = monotonicMs();
  #reason = '';

  /**
   * @param described the export, which must stay the same
   * @param changed called with each new state
   */
  constructor(
    link: Link,
    options: KeeperOptions,
    described: NbdExport,
    changed: (state: NbdLinkState, reason?: string) => void,
  ) {
    this.#link = link;
    this.#options = options;
    this.#export = described;
    this.#changed = changed;
  }

  /** Gives the data thread a connection. */
  offer(connection: NbdConnection): void {
    clearTimeout(this.#patience);
    this.#connection = connection;
    this.#connectedAt = this.#progressAt = monotonicMs();
    this.#link.offer(connection.fd);
    this.#changed('connected');
  }

  /** Looks after the connection: called when the data thread signals, and about once a second. */
  check(): void {
    const { inFlight, answered } = this.#link;
    const loss = this.#link.takeLoss();
    const now = monotonicMs();
    const hasAnswered = answered !== this.#answered;
    this.#answered = answered;
    if (this.#connection !== undefined && (hasAnswered || inFlight === 0)) {
      this.#progressAt = now;
      this.#outageSince = undefined;
      if (hasAnswered || now - this.#connectedAt > MAX_DELAY_MS) this.#delay = 0;
    }
    if (loss !== undefined) {
      this.#disconnect();
      this.#reconnecting = this.#reconnect(loss);
    } else if (this.#connection !== undefined && now - this.#progressAt > this.#options.silenceMs) {
      // The data thread finds the end of the connection, and gives it up.
      shutdown(this.#connection.fd);
      this.#progressAt = now;
    }
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.end();
    close(connection.fd);
  }

  async #reconnect(loss: string): Promise<void> {
    const { signal, reconnectMs } = this.#options;
    this.#reason = loss;
    this.#outageSince ??= monotonicMs();
    const left = this.#outageSince + reconnectMs - monotonicMs();
    if (left > 0) {
      this.#enter('reconnecting');
      this.#patience = setTimeout(() => {
        this.#enter('failed');
      }, left);
    } else {
      this.#enter('failed');
    }
    while (!signal.aborted) {
      const delay = this.#delay;
      this.#delay = Math.min(Math.max(delay * 2, FIRST_DELAY_MS), MAX_DELAY_MS);
      try {
        await sleep(delay, signal);
        const connection = await connectInTime(this.#options);
        if (this.#isSame(connection)) {
          this.offer(connection);
          return;
        }
      } catch (error) {
        this.#reason = connectFailure(error);
      }
    }
    clearTimeout(this.#patience);
  }

  #enter(state: Exclude<NbdLinkState, 'connected'>): void {
    this.#link.enter(state);
    this.#changed(state, this.#reason);
  }

  /** Another export in place of the old one would be written to as if it were that. */
  #isSame(connection: NbdConnection): boolean {
    const difference = differenceOf(this.#export, connection.export);
    if (difference === undefined) return true;
    this.#reason = `The export has changed: ${difference}`;
    connection.end();
    close(connection.fd);
    return false;
  }

  /** Ends, after the signal. */
  async end(): Promise<void> {
    clearTimeout(this.#patience);
    await this.#reconnecting;
    this.#disconnect();
  }
}

const facts = [
  ['size', 'size'],
  ['flags', 'transmission flags'],
  ['minimumBlock', 'minimum block size'],
  ['preferredBlock', 'preferred block size'],
  ['maximumPayload', 'maximum payload'],
  ['replies', 'form of replies'],
] as const;

/** What differs between two descriptions of an export. */
export function differenceOf(was: NbdExport, is: NbdExport): string | undefined {
  const found = facts.find(([key]) => was[key] !== is[key]);
  return found && `${found[1]} ${was[found[0]]}, now ${is[found[0]]}`;
}
