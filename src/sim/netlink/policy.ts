/**
 * Attribute policies and their validation by the kernel: lib/nlattr.c. Only the kinds of attributes that the simulated
 * families use are supported.
 */
import { align, littleEndian, viewOf } from '../../netlink/bytes.js';
import { NLA_F_NESTED, NLA_TYPE_MASK } from '../../netlink/constants.js';
import { decodeText } from '../../netlink/text-encoding.js';
import { Errno } from '../../sys/errno.js';
import { Refusal } from './refusal.js';
import type { AttributePolicy } from './attribute-policy.js';
import type { Extack } from './extack.js';

/** The policy of an operation. Attributes up to `maxType` without a policy are unspecified. */
export interface Policy {
  readonly maxType: number;
  readonly attributes: Readonly<Partial<Record<number, AttributePolicy>>>;
}

/** NL_VALIDATE_STRICT or NL_VALIDATE_LIBERAL. */
export type Strictness = 'strict' | 'liberal';

const attributeHeaderLength = 4;

/** The sizes of the integer kinds, in bytes. */
const integerLength = { u16: 2, u32: 4, u64: 8 } as const;

/** The attributes of a validated request; the last one of several of a type. */
export class RequestAttributes {
  readonly #datagram: Uint8Array;
  readonly #view: DataView;
  readonly #starts: ReadonlyMap<number, number>;

  /** @param starts the offset of the attribute of each type in the datagram. */
  constructor(datagram: Uint8Array, starts: ReadonlyMap<number, number>) {
    this.#datagram = datagram;
    this.#view = viewOf(datagram);
    this.#starts = starts;
  }

  has(type: number): boolean {
    return this.#starts.has(type);
  }

  /** The offset of the attribute in the datagram. */
  start(type: number): number | undefined {
    return this.#starts.get(type);
  }

  u16(type: number): number | undefined {
    const start = this.#starts.get(type);
    return start === undefined ? undefined : this.#view.getUint16(start + attributeHeaderLength, littleEndian);
  }

  u32(type: number): number | undefined {
    const start = this.#starts.get(type);
    return start === undefined ? undefined : this.#view.getUint32(start + attributeHeaderLength, littleEndian);
  }

  u64(type: number): bigint | undefined {
    const start = this.#starts.get(type);
    return start === undefined ? undefined : this.#view.getBigUint64(start + attributeHeaderLength, littleEndian);
  }

  /** The first `length` bytes of the payload, copied. */
  bytes(type: number, length: number): Uint8Array | undefined {
    const start = this.#starts.get(type);
    if (start === undefined) return undefined;
    return this.#datagram.slice(start + attributeHeaderLength, start + attributeHeaderLength + length);
  }

  /**
   * The payload as the kernel reads a `char *`: up to the first NUL, even if that is after the attribute. The text ends
   * with the datagram, where the kernel would read the memory that follows.
   */
  cString(type: number): string | undefined {
    const start = this.#starts.get(type);
    if (start === undefined) return undefined;
    const text = this.#datagram.subarray(start + attributeHeaderLength);
    const nul = text.indexOf(0);
    return decodeText(nul === -1 ? text : text.subarray(0, nul));
  }
}

/**
 * Checks the attributes between `from` and `to` of a datagram, in order, and returns those known to the policy.
 * @param messageStart the offset of the request's nlmsghdr, the base of offsets in the extended acknowledgement.
 * @throws Refusal with the kernel's errno; `extack` has the reason.
 */
export function parseAttributes(
  datagram: Uint8Array,
  range: { readonly messageStart: number; readonly from: number; readonly to: number },
  policy: Policy,
  strictness: Strictness,
  extack: Extack,
): RequestAttributes {
  const view = viewOf(datagram);
  const starts = new Map<number, number>();
  let at = range.from;
  let left = range.to - range.from;
  while (left >= attributeHeaderLength) {
    const length = view.getUint16(at, littleEndian);
    if (length < attributeHeaderLength || length > left) break;
    const rawType = view.getUint16(at + 2, littleEndian);
    const type = rawType & NLA_TYPE_MASK;
    const complaint = { offset: at - range.messageStart };
    if (type === 0 || type > policy.maxType) {
      if (strictness === 'strict') {
        extack.set('Unknown attribute type', complaint);
        throw new Refusal(Errno.EINVAL);
      }
    } else {
      const payload = datagram.subarray(at + attributeHeaderLength, at + length);
      checkAttribute(payload, rawType, policy.attributes[type], strictness, (errno, message, described) => {
        extack.set(message, described === undefined ? complaint : { ...complaint, policy: described });
        return new Refusal(errno);
      });
      starts.set(type, at);
    }
    at += align(length);
    left -= align(length);
  }
  if (left > 0) {
    extack.message = 'bytes leftover after parsing attributes';
    if (strictness === 'strict') throw new Refusal(Errno.EINVAL);
  }
  return new RequestAttributes(datagram, starts);
}

type Complain = (errno: number, message: string, policy?: AttributePolicy) => Refusal;

function checkAttribute(
  payload: Uint8Array,
  rawType: number,
  policy: AttributePolicy | undefined,
  strictness: Strictness,
  complain: Complain,
): void {
  if (policy === undefined) {
    if (strictness === 'strict') throw complain(Errno.EINVAL, 'Unsupported attribute');
    return;
  }
  if (strictness === 'strict') {
    if (isInteger(policy) && payload.length !== integerLength[policy.kind]) {
      throw complain(Errno.EINVAL, 'invalid attribute length', policy);
    }
    if ((rawType & NLA_F_NESTED) !== 0) throw complain(Errno.EINVAL, 'NLA_F_NESTED not expected', policy);
  }
  switch (policy.kind) {
    case 'u16':
    case 'u32':
    case 'u64':
      if (payload.length < integerLength[policy.kind]) throw failed(complain, Errno.ERANGE, policy);
      if (policy.min !== undefined && readInteger(payload, policy.kind) < policy.min) {
        throw complain(Errno.ERANGE, 'integer out of range', policy);
      }
      break;
    case 'string':
    case 'nul-string':
      checkString(payload, policy, complain);
      break;
    case 'binary':
      if (payload.length < policy.minLength || payload.length > policy.maxLength) {
        throw complain(Errno.ERANGE, 'binary attribute size out of range', policy);
      }
      break;
  }
}

function isInteger(policy: AttributePolicy): policy is AttributePolicy & { readonly kind: keyof typeof integerLength } {
  return policy.kind in integerLength;
}

function checkString(
  payload: Uint8Array,
  policy: AttributePolicy & { readonly kind: 'string' | 'nul-string' },
  complain: Complain,
): void {
  const { maxLength } = policy;
  if (policy.kind === 'nul-string') {
    const searched = maxLength === undefined ? payload : payload.subarray(0, maxLength + 1);
    if (!searched.includes(0)) throw failed(complain, Errno.EINVAL, policy);
  }
  if (payload.length < 1) throw failed(complain, Errno.ERANGE, policy);
  const length = payload[payload.length - 1] === 0 ? payload.length - 1 : payload.length;
  if (maxLength !== undefined && length > maxLength) throw failed(complain, Errno.ERANGE, policy);
}

function failed(complain: Complain, errno: number, policy: AttributePolicy): Refusal {
  return complain(errno, 'Attribute failed policy validation', policy);
}

function readInteger(payload: Uint8Array, kind: keyof typeof integerLength): bigint {
  const view = viewOf(payload);
  if (kind === 'u16') return BigInt(view.getUint16(0, littleEndian));
  if (kind === 'u32') return BigInt(view.getUint32(0, littleEndian));
  return view.getBigUint64(0, littleEndian);
}
