/**
 * What a data thread and the thread of the connections share about one connection. The data thread has no running event
 * loop: it finds a new connection in these words when its eventfd wakes it. The other thread alone closes descriptors,
 * so that a number is never that of another file while the data thread uses it.
 */
import { openEventfd, signalEventfd } from '../../../sys/events.js';
import { close } from '../../../sys/libc.js';

/** The state of a connection, as `vdpa vduse show` prints it. */
export type NbdLinkState = 'connected' | 'reconnecting' | 'failed';
const states: readonly NbdLinkState[] = ['connected', 'reconnecting', 'failed'];

/** Why a data thread has given a connection up. */
export const lossReasons = [
  'the server has ended the connection',
  'the connection was reset',
  'the server is shutting down',
  'memory of the driver has disappeared while it was sent',
  'the server has answered a request that was not made',
  'the server has sent data of the wrong length or place',
  'the server has sent a reply of the wrong form',
] as const;
export type LossReason = (typeof lossReasons)[number];

const word = {
  /** A descriptor, plus 1, that the data thread has not taken yet; else 0. */
  offered: 0,
  /** Not 0 once the data thread has given its connection up: the index of the reason, plus 1. */
  lost: 1,
  /** The index of the state. */
  state: 2,
  /** Requests that are not done, and how many were answered. */
  inFlight: 3,
  answered: 4,
  length: 5,
} as const;

/** The parts of a link, for structured clone between threads. */
export interface SharedLink {
  readonly words: SharedArrayBuffer;
  /** Eventfds: of the data thread, and of the thread of the connections. */
  readonly dataThread: number;
  readonly connections: number;
}

export class Link {
  readonly shared: SharedLink;
  readonly #words: Int32Array;

  /** @param connections the eventfd of the thread of the connections. @throws SystemError */
  static open(connections: number): Link {
    const words = new SharedArrayBuffer(word.length * 4);
    return new Link({ words, dataThread: openEventfd(), connections });
  }

  constructor(shared: SharedLink) {
    this.shared = shared;
    this.#words = new Int32Array(shared.words);
  }

  get state(): NbdLinkState {
    return states[Atomics.load(this.#words, word.state)] ?? 'failed';
  }

  get inFlight(): number {
    return Atomics.load(this.#words, word.inFlight);
  }

  get answered(): number {
    return Atomics.load(this.#words, word.answered);
  }

  /** Gives the data thread a connection. */
  offer(fd: number): void {
    Atomics.store(this.#words, word.state, states.indexOf('connected'));
    Atomics.store(this.#words, word.offered, fd + 1);
    signalEventfd(this.shared.dataThread);
  }

  /** The data thread has none: it waits, or fails its requests. */
  enter(state: Exclude<NbdLinkState, 'connected'>): void {
    Atomics.store(this.#words, word.state, states.indexOf(state));
    signalEventfd(this.shared.dataThread);
  }

  /** Takes the reason of a loss, once. */
  takeLoss(): LossReason | undefined {
    const index = Atomics.exchange(this.#words, word.lost, 0);
    return index === 0 ? undefined : lossReasons[index - 1];
  }

  /** For the data thread: takes a new connection. */
  takeOffer(): number | undefined {
    const offered = Atomics.exchange(this.#words, word.offered, 0);
    return offered === 0 ? undefined : offered - 1;
  }

  /** For the data thread: it does not use its connection any longer. */
  lose(reason: LossReason): void {
    Atomics.store(this.#words, word.lost, lossReasons.indexOf(reason) + 1);
    signalEventfd(this.shared.connections);
  }

  /** For the data thread. */
  report(inFlight: number, answered: number): void {
    Atomics.store(this.#words, word.inFlight, inFlight);
    if (answered > 0) Atomics.add(this.#words, word.answered, answered);
  }

  /** Closes the eventfd of the data thread, which has ended. */
  close(): void {
    close(this.shared.dataThread);
  }
}
