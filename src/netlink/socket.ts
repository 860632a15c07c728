import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { abortable, type WaitOptions } from '../sys/wait.js';
import { decodeDone, decodeError } from './acknowledgement.js';
import type { Acknowledgement } from './acknowledgement.js';
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
} from './constants.js';
import { NetlinkError } from './error.js';
import { findAttribute } from './attribute.js';
import { decodeMessages, encodeMessage, messageHeaderLength } from './message.js';
import type { NetlinkMessage } from './message.js';
import type { NetlinkTransport } from './transport.js';

/** Settings of a {@link NetlinkSocket}. */
export interface NetlinkSocketOptions {
  /** Time limit for the next answer of the kernel, in milliseconds; 10 000 by default. */
  readonly timeoutMs?: number;
}

/**
 * Options of a request. Its time limit is for the next answer of the kernel; by default that of the socket.
 *
 * A request that is aborted by the signal may have been carried out; its answers are read and discarded before the
 * next request is sent. The default transport blocks the thread while it waits: there a signal can take effect only
 * before a request and between its answers.
 */
export interface RequestOptions extends WaitOptions {
  /** Describes the request in errors: `add vdpa device foo0`. */
  readonly operation?: string;
  /**
   * Called when a dump has to start again because its list changed in the meantime (NLM_F_DUMP_INTR) or answers were
   * lost (ENOBUFS): discard all messages so far. Without it such a dump fails, with EINTR or ENOBUFS.
   */
  readonly onRestart?: () => void;
  /** Called with the message of the kernel if a request succeeds with a warning. */
  readonly onWarning?: (kernelMessage: string) => void;
}

/** How often a dump is tried before its list is considered to change constantly. */
const maxDumpAttempts = 10;

/**
 * Sends requests to the kernel and reads its answers, for any netlink protocol.
 *
 * Requests are made one at a time: a request waits for the one that is running.
 */
export class NetlinkSocket {
  readonly #transport: NetlinkTransport;
  readonly #timeoutMs: number;
  #sequence = 0;
  /** Settles when all requests so far have ended; never rejects. */
  #idle: Promise<unknown> = Promise.resolve();
  /** The request whose answers are read. */
  #current: Request | undefined;

  constructor(transport: NetlinkTransport, { timeoutMs = 10_000 }: NetlinkSocketOptions = {}) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
  }

  /** The port id of the socket. */
  get port(): number {
    return this.#transport.port;
  }

  /**
   * Sends a request and reads its answers to the end: the acknowledgement or, for a dump, NLMSG_DONE.
   *
   * @param type the message type: the id of the family.
   * @param flags NLM_F_*; with NLM_F_DUMP the request is a dump. NLM_F_REQUEST and NLM_F_ACK are added; the kernel does
   * not acknowledge a dump, which ends with NLMSG_DONE.
   * @param payload the bytes after the header.
   * @param onMessage called with each answer, in order. If it throws, the remaining answers are read and discarded and
   * the request rejects with its error.
   * @throws NetlinkError if the kernel rejects the request; with `ETIMEDOUT` if it does not answer; with `EINTR` or
   * `ENOBUFS` if a dump was interrupted and could not be repeated. NetlinkProtocolError if the answers are invalid. The
   * reason of the signal once that is aborted.
   */
  request(
    type: number,
    flags: number,
    payload: Uint8Array,
    onMessage: (message: NetlinkMessage) => void,
    options: RequestOptions = {},
  ): Promise<void> {
    const isDump = (flags & NLM_F_DUMP) === NLM_F_DUMP;
    const request: Request = {
      type,
      flags: flags | NLM_F_REQUEST | NLM_F_ACK,
      payload,
      isDump,
      operation: options.operation ?? (isDump ? 'netlink dump' : 'netlink request'),
      onMessage,
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
      signal: options.signal,
      ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
    };
    const { onRestart, signal } = options;
    const done = this.#queue(async () => {
      this.#current = request;
      for (let attempt = 1; ; attempt++) {
        signal?.throwIfAborted();
        const disturbance = await this.#exchange(request);
        if (disturbance === undefined) return;
        if (onRestart === undefined || attempt === maxDumpAttempts) throw disturbance;
        onRestart();
      }
    });
    return signal === undefined ? done : abortable(done, signal);
  }

  /** As {@link request}, but returns all answers together; repeats a dump that was interrupted. */
  async gather(
    type: number,
    flags: number,
    payload: Uint8Array,
    options: Omit<RequestOptions, 'onRestart'> = {},
  ): Promise<NetlinkMessage[]> {
    let messages: NetlinkMessage[] = [];
    const onRestart = (): void => {
      messages = [];
    };
    await this.request(type, flags, payload, (message) => messages.push(message), { ...options, onRestart });
    return messages;
  }

  /** Waits for running requests, except those whose signal is aborted, and closes the socket. */
  async close(): Promise<void> {
    const close = async (): Promise<void> => {
      await this.#transport.close();
    };
    await (this.#current?.signal?.aborted === true ? close() : this.#queue(close));
  }

  /** As {@link close}, at the end of the block of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #queue<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#idle.then(task);
    this.#idle = result.catch(() => undefined);
    return result;
  }

  /** Makes one request and reads its answers. Returns the error that interrupted a dump, once the dump has ended. */
  async #exchange(request: Request): Promise<NetlinkError | undefined> {
    const sequence = this.#nextSequence();
    const { type, flags, payload } = request;
    await this.#transport.send(encodeMessage({ type, flags, seq: sequence, port: this.port, payload }));

    const answers = new Answers(request);
    // Set only after something other than an answer has arrived: reading the clock is a system call.
    let deadline: number | undefined;
    for (;;) {
      const remaining = deadline === undefined ? request.timeoutMs : deadline - monotonicMs();
      const datagram = await this.#receive(request, answers, remaining);
      if (datagram === undefined) continue;
      let isAnswer = false;
      for (const message of decodeMessages(datagram)) {
        // A late answer to a request that timed out, or a message for another socket.
        if (message.seq !== sequence || message.port !== this.port) continue;
        isAnswer = true;
        if (answers.take(message)) return answers.result();
      }
      if (isAnswer) deadline = undefined;
      else deadline ??= monotonicMs() + request.timeoutMs;
    }
  }

  /** The next datagram, or undefined if the kernel dropped some and the rest of the dump is still to come. */
  async #receive(request: Request, answers: Answers, remaining: number): Promise<Uint8Array | undefined> {
    try {
      if (remaining <= 0) throw new NetlinkError({ operation: 'receive from netlink', errno: Errno.ETIMEDOUT });
      return await this.#transport.receive(remaining);
    } catch (cause) {
      if (!(cause instanceof NetlinkError)) throw cause;
      const { operation } = request;
      if (cause.errno === Errno.ENOBUFS) {
        const hint = request.isDump
          ? 'The receive buffer of the socket is full'
          : 'The receive buffer of the socket is full; the request may have been carried out';
        const lost = new NetlinkError({ operation, errno: Errno.ENOBUFS, hint, cause });
        if (!request.isDump) throw lost;
        answers.disturb(lost);
        return undefined;
      }
      if (cause.errno !== Errno.ETIMEDOUT) throw cause;
      const hint = `The kernel did not answer within ${request.timeoutMs / 1000} s`;
      throw answers.disturbance ?? new NetlinkError({ operation, errno: Errno.ETIMEDOUT, hint, cause });
    }
  }

  /** Never 0, which is the number of notifications of the kernel. */
  #nextSequence(): number {
    this.#sequence = this.#sequence === 0xffff_ffff ? 1 : this.#sequence + 1;
    return this.#sequence;
  }
}

interface Request {
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly isDump: boolean;
  readonly operation: string;
  readonly onMessage: (message: NetlinkMessage) => void;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onWarning?: (kernelMessage: string) => void;
}

/** The answers to one request, up to the last one. */
class Answers {
  /** The error that made the rest of a dump useless. The rest is still read: the kernel runs one dump per socket. */
  disturbance: NetlinkError | undefined;
  readonly #request: Request;
  /** What onMessage threw. */
  #failure: { readonly thrown: unknown } | undefined;

  constructor(request: Request) {
    this.#request = request;
  }

  disturb(error: NetlinkError): void {
    this.disturbance ??= error;
  }

  /** @returns whether this was the last message. */
  take(message: NetlinkMessage): boolean {
    const { isDump, operation } = this.#request;
    if (isDump && (message.flags & NLM_F_DUMP_INTR) !== 0) {
      const hint = 'The list changed while it was read; try again';
      this.disturb(new NetlinkError({ operation, errno: Errno.EINTR, hint }));
    }
    switch (message.type) {
      case NLMSG_NOOP:
        return false;
      case NLMSG_OVERRUN:
        this.disturb(
          new NetlinkError({ operation, errno: Errno.ENOBUFS, hint: 'The kernel reports that replies were lost' }),
        );
        return false;
      case NLMSG_ERROR:
        this.#check(decodeError(message));
        return true;
      case NLMSG_DONE:
        this.#check(decodeDone(message));
        return isDump; // Unless it is a dump, the acknowledgement is still to come.
      default:
        this.#deliver(message);
        return false;
    }
  }

  /** The result. @throws the error thrown by onMessage. */
  result(): NetlinkError | undefined {
    if (this.#failure !== undefined) throw this.#failure.thrown;
    return this.disturbance;
  }

  #check({ errno, extended }: Acknowledgement): void {
    const { operation, onWarning, payload } = this.#request;
    if (errno !== 0) {
      // Offsets count from the header.
      const at = extended.offset === undefined ? -1 : extended.offset - messageHeaderLength;
      const attribute = findAttribute(payload, at);
      throw new NetlinkError({ operation, errno, ...extended, ...(attribute && { attribute }) });
    }
    if (extended.kernelMessage !== undefined) onWarning?.(extended.kernelMessage);
  }

  #deliver(message: NetlinkMessage): void {
    if (this.#failure !== undefined || this.disturbance !== undefined) return;
    if (this.#request.signal?.aborted === true) return;
    try {
      this.#request.onMessage(message);
    } catch (thrown) {
      this.#failure = { thrown };
    }
  }
}
