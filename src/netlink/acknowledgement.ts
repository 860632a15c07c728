import { align, readInt32, readUint32 } from './bytes.js';
import { AttributeList } from './attribute.js';
import {
  NLMSGERR_ATTR_MISS_NEST,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
  NLMSGERR_ATTR_POLICY,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
} from './constants.js';
import { NetlinkProtocolError } from './error.js';
import type { ExtendedAck } from './error.js';
import { messageHeaderLength } from './message.js';
import type { NetlinkMessage } from './message.js';

/** The result of a request, from an NLMSG_ERROR or NLMSG_DONE message. */
export interface Acknowledgement {
  /** The error number, positive; 0 is success. */
  readonly errno: number;
  /** The extended acknowledgement. A message with error number 0 is a warning. */
  readonly extended: ExtendedAck;
}

const errorNumberLength = 4;

/**
 * Decodes NLMSG_ERROR: `struct nlmsgerr`, the request unless the kernel capped it, and the extended acknowledgement.
 * @throws NetlinkProtocolError if the message is shorter than its contents.
 */
export function decodeError(message: NetlinkMessage): Acknowledgement {
  const { payload, flags } = message;
  let length = errorNumberLength + messageHeaderLength;
  if (payload.length < length) {
    throw new NetlinkProtocolError(`netlink error message has ${payload.length} bytes, less than its ${length}`);
  }
  if ((flags & NLM_F_CAPPED) === 0) {
    const requestLength = readUint32(payload, errorNumberLength);
    if (requestLength < messageHeaderLength || requestLength > payload.length - errorNumberLength) {
      throw new NetlinkProtocolError(
        `netlink error message of ${payload.length} bytes claims to quote a request of ${requestLength} bytes`,
      );
    }
    length = errorNumberLength + align(requestLength);
  }
  // The kernel writes a negative number, as it uses internally; some old families wrote a positive one.
  const errno = Math.abs(readInt32(payload, 0));
  return { errno, extended: decodeExtendedAck(payload.subarray(length), flags) };
}

/**
 * Decodes NLMSG_DONE, which ends a dump: an error number and the extended acknowledgement. Some families omit both.
 * @throws NetlinkProtocolError if the message is too short for an error number.
 */
export function decodeDone(message: NetlinkMessage): Acknowledgement {
  const { payload, flags } = message;
  if (payload.length === 0) return { errno: 0, extended: {} };
  if (payload.length < errorNumberLength) {
    throw new NetlinkProtocolError(`netlink done message has ${payload.length} bytes, too few for an error number`);
  }
  // A positive number is not an error here: the dump function of the family counted something.
  const errno = Math.max(0, -readInt32(payload, 0));
  return { errno, extended: decodeExtendedAck(payload.subarray(errorNumberLength), flags) };
}

function decodeExtendedAck(bytes: Uint8Array, flags: number): ExtendedAck {
  if ((flags & NLM_F_ACK_TLVS) === 0) return {};
  const attributes = AttributeList.parse(bytes);
  const kernelMessage = attributes.string(NLMSGERR_ATTR_MSG);
  const offset = attributes.u32(NLMSGERR_ATTR_OFFS);
  const policy = attributes.bytes(NLMSGERR_ATTR_POLICY);
  const missingType = attributes.u32(NLMSGERR_ATTR_MISS_TYPE);
  const missingNest = attributes.u32(NLMSGERR_ATTR_MISS_NEST);
  return {
    ...(kernelMessage === undefined ? {} : { kernelMessage }),
    ...(offset === undefined ? {} : { offset }),
    ...(policy === undefined ? {} : { policy }),
    ...(missingType === undefined ? {} : { missingType }),
    ...(missingNest === undefined ? {} : { missingNest }),
  };
}
