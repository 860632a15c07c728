import { align, viewOf, littleEndian } from '../../src/netlink/bytes.js';
import { NLMSG_DONE, NLMSG_ERROR, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_MULTI } from '../../src/netlink/constants.js';
import { Errno } from '../../src/sys/errno.js';
import { NetlinkError } from '../../src/netlink/error.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';

/** A datagram to receive, or an error that receiving throws. */
export type Arrival = Uint8Array | Error;

/** The port ID of a peer's near end. */
export const peerPort = 4711;

/** The far end of a netlink socket, given by a function from a request to what arrives in response. */
export class Peer implements NetlinkTransport {
  readonly port = peerPort;
  /** All requests so far. */
  readonly requests: NetlinkMessage[] = [];
  closed = 0;
  readonly #answer: (request: NetlinkMessage) => Iterable<Arrival>;
  #arrivals: Arrival[] = [];

  constructor(answer: (request: NetlinkMessage) => Iterable<Arrival>) {
    this.#answer = answer;
  }

  send(datagram: Uint8Array): void {
    for (const request of decodeMessages(datagram)) {
      this.requests.push(request);
      this.#arrivals.push(...this.#answer(request));
    }
  }

  /** Does not wait: nothing arrives later. */
  receive(): Uint8Array {
    const arrival = this.#arrivals.shift();
    if (arrival === undefined) throw new NetlinkError({ operation: 'receive from peer', errno: Errno.ETIMEDOUT });
    if (arrival instanceof Error) throw arrival;
    return arrival;
  }

  close(): void {
    this.closed++;
    this.#arrivals = [];
  }
}

/** An answer to `request`: a message with its sequence number and port. */
export function answer(request: NetlinkMessage, parts: Partial<NetlinkMessage>): Uint8Array {
  const { type, seq, port } = request;
  return encodeMessage({ type, flags: 0, seq, port, payload: new Uint8Array(0), ...parts });
}

/** NLMSG_ERROR as the kernel sends it: capped, with `attributes` (NLMSGERR_ATTR_*) after the request's header. 0 is success. */
export function acknowledgement(
  request: NetlinkMessage,
  errno = 0,
  attributes: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const flags = NLM_F_CAPPED | (attributes.length === 0 ? 0 : NLM_F_ACK_TLVS);
  const header = encodeMessage({ ...request, payload: new Uint8Array(0) });
  return answer(request, { type: NLMSG_ERROR, flags, payload: concat(int32(-errno), header, attributes) });
}

/** NLMSG_DONE as the kernel sends it. */
export function done(
  request: NetlinkMessage,
  errno = 0,
  attributes: Uint8Array = new Uint8Array(0),
  flags = 0,
): Uint8Array {
  const tlvs = attributes.length === 0 ? 0 : NLM_F_ACK_TLVS;
  const payload = concat(int32(-errno), attributes);
  return answer(request, { type: NLMSG_DONE, flags: NLM_F_MULTI | tlvs | flags, payload });
}

/** A number as the kernel writes an int. */
export function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setInt32(0, value, littleEndian);
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Bytes from hexadecimal digits; white space is ignored. */
export function hex(digits: string): Uint8Array {
  return new Uint8Array(Buffer.from(digits.replaceAll(/\s/gu, ''), 'hex'));
}

/** `bytes` with zeros up to netlink's alignment. */
export function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array(align(bytes.length) - bytes.length));
}
