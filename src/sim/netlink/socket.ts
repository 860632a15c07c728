/** The kernel's end of a netlink socket: requests, acknowledgements, dumps. net/netlink/af_netlink.c */
import { align, littleEndian, viewOf } from '../../netlink/bytes.js';
import {
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
} from '../../netlink/constants.js';
import { messageHeaderLength } from '../../netlink/message.js';
import { Extack } from './extack.js';
import { MessageBuffer, NoRoomError } from './message-buffer.js';
import { Refusal } from './refusal.js';

/** NLMSG_GOODSIZE for pages of 4 KiB: the maximum size of an answer, and of a part of a dump before a larger read. */
export const defaultDatagramSize = 3776;
/** The maximum size of a part of a dump: 32 KiB less the kernel's overhead. */
const largestDatagramSize = 32448;

/** The options of a socket set with setsockopt(2). */
export interface NetlinkSocketOptions {
  /** NETLINK_EXT_ACK: acknowledgements have details of the error. */
  readonly extendedAck: boolean;
  /** NETLINK_CAP_ACK: acknowledgements omit the request's payload. */
  readonly cappedAck: boolean;
}

/**
 * A dump, which continues from datagram to datagram. Fills `buffer` with the next part; returns `more` to be called
 * again, and `done` if NLMSG_DONE follows in this datagram.
 * @throws Refusal to end the dump with an errno.
 */
export type Dump = (buffer: MessageBuffer, extack: Extack) => 'more' | 'done';

/** One message to the kernel. */
export interface NetlinkRequest {
  readonly datagram: Uint8Array;
  /** The offset of the message in the datagram. */
  readonly start: number;
  /** nlmsg_len */
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** The destination port of answers. */
  readonly port: number;
  /** The user has CAP_NET_ADMIN. */
  readonly privileged: boolean;
  /** A dump runs on the socket, which supports only one. */
  readonly dumping: boolean;
  readonly extack: Extack;
  /** Sends a datagram back. */
  readonly answer: (datagram: Uint8Array) => void;
}

/**
 * Executes a request, and returns the dump that it starts, if any.
 * @throws Refusal
 */
export type RequestHandler = (request: NetlinkRequest) => Dump | undefined;

/** A running dump and its request. */
interface RunningDump {
  readonly dump: Dump;
  readonly seq: number;
  /** The errno that ends the dump in the last datagram, if it did not fit into the one before. */
  ended?: number;
}

export class NetlinkSocketEnd {
  readonly #handle: RequestHandler;
  readonly #port: number;
  readonly #options: NetlinkSocketOptions;
  readonly #queue: Uint8Array[] = [];
  #running: RunningDump | undefined;
  #largestRead = 0;

  constructor(handle: RequestHandler, port: number, options: NetlinkSocketOptions) {
    this.#handle = handle;
    this.#port = port;
    this.#options = options;
  }

  /** Processes a datagram of requests like netlink_rcv_skb(): an incomplete message silently ends it. */
  deliver(datagram: Uint8Array, privileged: boolean): void {
    const view = viewOf(datagram);
    let start = 0;
    while (datagram.length - start >= messageHeaderLength) {
      const length = view.getUint32(start, littleEndian);
      if (length < messageHeaderLength || length > datagram.length - start) return;
      this.#take({
        datagram,
        start,
        length,
        type: view.getUint16(start + 4, littleEndian),
        flags: view.getUint16(start + 6, littleEndian),
        seq: view.getUint32(start + 8, littleEndian),
        port: this.#port,
        privileged,
        dumping: this.#running !== undefined,
        extack: new Extack(),
        answer: (answer) => this.#queue.push(answer),
      });
      start += align(length);
    }
  }

  /** The length of the next datagram; undefined if there is none. */
  get waiting(): number | undefined {
    return this.#queue[0]?.length;
  }

  /**
   * Returns the next datagram, if any, to a reader with a buffer of `size` bytes; the rest is lost. A running dump then
   * writes its next datagram, up to the size of the largest buffer so far.
   */
  receive(size: number): Uint8Array | undefined {
    const datagram = this.#queue.shift();
    if (datagram === undefined) return undefined;
    this.#largestRead = Math.max(this.#largestRead, Math.min(size, largestDatagramSize));
    if (this.#running !== undefined) this.#continueDump(this.#running);
    return datagram.length > size ? datagram.subarray(0, size) : datagram;
  }

  #take(request: NetlinkRequest): void {
    let errno = 0;
    if ((request.flags & NLM_F_REQUEST) !== 0 && request.type >= NLMSG_MIN_TYPE) {
      try {
        const dump = this.#handle(request);
        if (dump !== undefined) {
          this.#startDump(dump, request.seq);
          return;
        }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        ({ errno } = error);
      }
    }
    if ((request.flags & NLM_F_ACK) !== 0 || errno !== 0) this.#acknowledge(request, errno);
  }

  #startDump(dump: Dump, seq: number): void {
    this.#running = { dump, seq };
    this.#continueDump(this.#running);
  }

  #continueDump(running: RunningDump): void {
    const buffer = new MessageBuffer(Math.max(this.#largestRead, defaultDatagramSize));
    const extack = new Extack();
    const ended = running.ended ?? this.#fill(running.dump, buffer, extack);
    if (ended !== undefined) {
      running.ended = ended;
      try {
        this.#writeDone(buffer, running, ended, extack);
        this.#running = undefined;
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
      }
    }
    this.#queue.push(buffer.finish());
  }

  /** One call of the dump: the errno that ends it; undefined if it continues. */
  #fill(dump: Dump, buffer: MessageBuffer, extack: Extack): number | undefined {
    try {
      return dump(buffer, extack) === 'done' ? 0 : undefined;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return error.errno;
    }
  }

  #writeDone(buffer: MessageBuffer, { seq }: RunningDump, errno: number, extack: Extack): void {
    const tells = this.#options.extendedAck && extack.saysSomething(errno);
    const flags = NLM_F_MULTI | (tells ? NLM_F_ACK_TLVS : 0);
    const payload = new Uint8Array(4);
    viewOf(payload).setInt32(0, -errno, littleEndian);
    const header = { type: NLMSG_DONE, flags, seq, port: this.#port };
    if (!tells) {
      buffer.message(header, payload);
      return;
    }
    buffer.message(header, payload, () => {
      extack.write(buffer, errno);
    });
  }

  #acknowledge(request: NetlinkRequest, errno: number): void {
    const { datagram, start, length, extack } = request;
    const capped = errno === 0 || this.#options.cappedAck;
    const tells = this.#options.extendedAck && extack.saysSomething(errno);
    const echoed = datagram.subarray(start, start + (capped ? messageHeaderLength : length));
    const payload = new Uint8Array(4 + align(echoed.length));
    viewOf(payload).setInt32(0, -errno, littleEndian);
    payload.set(echoed, 4);
    const buffer = new MessageBuffer(messageHeaderLength + payload.length + ackTextRoom);
    const flags = (capped ? NLM_F_CAPPED : 0) | (tells ? NLM_F_ACK_TLVS : 0);
    const header = { type: NLMSG_ERROR, flags, seq: request.seq, port: this.#port };
    buffer.message(header, payload, () => {
      if (tells) extack.write(buffer, errno);
    });
    request.answer(buffer.finish());
  }
}

/** Space for an extended acknowledgement: a message of at most a few hundred bytes and a policy. */
const ackTextRoom = 4096;
