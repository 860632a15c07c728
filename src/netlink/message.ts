import { align, littleEndian, viewOf, writeUint16, writeUint32 } from './bytes.js';
import { NetlinkProtocolError } from './error.js';
import { allocate } from './buffer-pool.js';

/** Length of `struct nlmsghdr`, in bytes. */
export const messageHeaderLength = 16;

/** One netlink message: `struct nlmsghdr` of linux/netlink.h without its length, and what follows it. */
export interface NetlinkMessage {
  /** Content: a control message (NLMSG_ERROR …), or a family's own. */
  readonly type: number;
  /** NLM_F_*. */
  readonly flags: number;
  /** Sequence number: an answer has that of its request. */
  readonly seq: number;
  /** Port id of the sender: in an answer, that of the socket that sent the request. */
  readonly port: number;
  /** What follows the header, without padding. */
  readonly payload: Uint8Array;
}

/** Encodes a message, padded to 4 bytes; the length in the header does not count the padding. */
export function encodeMessage(message: NetlinkMessage): Uint8Array {
  const length = messageHeaderLength + message.payload.length;
  const bytes = allocate(align(length));
  writeUint32(bytes, 0, length);
  writeUint16(bytes, 4, message.type);
  writeUint16(bytes, 6, message.flags);
  writeUint32(bytes, 8, message.seq);
  writeUint32(bytes, 12, message.port);
  bytes.set(message.payload, messageHeaderLength);
  return bytes;
}

/**
 * Decodes all messages of one datagram. Payloads are views into it, not copies.
 * @throws NetlinkProtocolError if a message is truncated, shorter than its header, or followed by stray bytes.
 */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at < datagram.length) {
    const left = datagram.length - at;
    if (left < messageHeaderLength) {
      throw new NetlinkProtocolError(`netlink datagram ends with ${left} stray bytes, too few for a message header`);
    }
    const length = view.getUint32(at, littleEndian);
    if (length < messageHeaderLength) {
      throw new NetlinkProtocolError(
        `netlink message at byte ${at} has an invalid length of ${length}, less than its header`,
      );
    }
    if (length > left) {
      throw new NetlinkProtocolError(
        `netlink message at byte ${at} is cut off: its length is ${length}, but only ${left} bytes are there`,
      );
    }
    messages.push({
      type: view.getUint16(at + 4, littleEndian),
      flags: view.getUint16(at + 6, littleEndian),
      seq: view.getUint32(at + 8, littleEndian),
      port: view.getUint32(at + 12, littleEndian),
      payload: datagram.subarray(at + messageHeaderLength, at + length),
    });
    at += align(length);
  }
  return messages;
}
