/** Requests byte by byte, valid and invalid, for peers that answer like the kernel. */
import { align, littleEndian, viewOf } from '../../src/netlink/bytes.js';
import { NLM_F_ACK, NLM_F_REQUEST } from '../../src/netlink/constants.js';
import { encodeText } from '../../src/netlink/text-encoding.js';
import { concat } from './peer.js';

/** `struct nlmsghdr` and `struct genlmsghdr` of a request, and its attributes. */
export interface RequestParts {
  readonly type: number;
  readonly command: number;
  readonly flags?: number;
  readonly seq?: number;
  readonly port?: number;
  readonly version?: number;
  readonly reserved?: number;
  readonly attributes?: readonly Uint8Array[];
  /** nlmsg_len, to override the correct value. */
  readonly length?: number;
}

/** One request, padded to 4 bytes. */
export function request(parts: RequestParts): Uint8Array {
  const payload = concat(...(parts.attributes ?? []));
  const bytes = new Uint8Array(20 + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, parts.length ?? bytes.length, littleEndian);
  view.setUint16(4, parts.type, littleEndian);
  view.setUint16(6, parts.flags ?? NLM_F_REQUEST | NLM_F_ACK, littleEndian);
  view.setUint32(8, parts.seq ?? 1, littleEndian);
  view.setUint32(12, parts.port ?? 0, littleEndian);
  view.setUint8(16, parts.command);
  view.setUint8(17, parts.version ?? 1);
  view.setUint16(18, parts.reserved ?? 0, littleEndian);
  bytes.set(payload, 20);
  return bytes;
}

/** One attribute, padded to 4 bytes. @param length nla_len, to override the correct value */
export function attribute(type: number, payload: Uint8Array, length = 4 + payload.length): Uint8Array {
  const bytes = new Uint8Array(4 + align(payload.length));
  const view = viewOf(bytes);
  view.setUint16(0, length, littleEndian);
  view.setUint16(2, type, littleEndian);
  bytes.set(payload, 4);
  return bytes;
}

export function text(type: number, value: string): Uint8Array {
  return attribute(type, concat(encodeText(value), Uint8Array.of(0)));
}

export function u16(type: number, value: number): Uint8Array {
  return attribute(type, numberBytes(2, BigInt(value)));
}

export function u32(type: number, value: number): Uint8Array {
  return attribute(type, numberBytes(4, BigInt(value)));
}

export function u64(type: number, value: bigint): Uint8Array {
  return attribute(type, numberBytes(8, value));
}

/** The low `length` bytes of a number in the machine's byte order. */
export function numberBytes(length: number, value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, value, littleEndian);
  return bytes.slice(0, length);
}
