import { AttributeList } from './attribute.js';
import {
  NL_ATTR_TYPE_BINARY,
  NL_ATTR_TYPE_BITFIELD32,
  NL_ATTR_TYPE_FLAG,
  NL_ATTR_TYPE_NESTED,
  NL_ATTR_TYPE_NESTED_ARRAY,
  NL_ATTR_TYPE_NUL_STRING,
  NL_ATTR_TYPE_S16,
  NL_ATTR_TYPE_S32,
  NL_ATTR_TYPE_S64,
  NL_ATTR_TYPE_S8,
  NL_ATTR_TYPE_SINT,
  NL_ATTR_TYPE_STRING,
  NL_ATTR_TYPE_U16,
  NL_ATTR_TYPE_U32,
  NL_ATTR_TYPE_U64,
  NL_ATTR_TYPE_U8,
  NL_ATTR_TYPE_UINT,
  NL_POLICY_TYPE_ATTR_BITFIELD32_MASK,
  NL_POLICY_TYPE_ATTR_MASK,
  NL_POLICY_TYPE_ATTR_MAX_LENGTH,
  NL_POLICY_TYPE_ATTR_MAX_VALUE_S,
  NL_POLICY_TYPE_ATTR_MAX_VALUE_U,
  NL_POLICY_TYPE_ATTR_MIN_LENGTH,
  NL_POLICY_TYPE_ATTR_MIN_VALUE_S,
  NL_POLICY_TYPE_ATTR_MIN_VALUE_U,
  NL_POLICY_TYPE_ATTR_POLICY_IDX,
  NL_POLICY_TYPE_ATTR_POLICY_MAXTYPE,
  NL_POLICY_TYPE_ATTR_TYPE,
} from './constants.js';
import { NetlinkProtocolError } from './error.js';
import { CTRL_ATTR_OP_POLICY, CTRL_ATTR_POLICY, CTRL_ATTR_POLICY_DO, CTRL_ATTR_POLICY_DUMP } from './genl-constants.js';

/** The requests that a family accepts, as reported by CTRL_CMD_GETPOLICY (net/netlink/policy.c). */
export interface GenlPolicy {
  /** Which policy an operation has, by command: numbers into `policies`. */
  readonly operations: ReadonlyMap<number, OperationPolicy>;
  /** Policies by number, each by attribute type. Attributes that a policy does not list are rejected. */
  readonly policies: ReadonlyMap<number, ReadonlyMap<number, AttributePolicy>>;
}

/** The policy numbers of an operation; absent if the operation does not support the call, or accepts anything. */
export interface OperationPolicy {
  readonly do?: number;
  readonly dump?: number;
}

/** A kind of attributes with numbers from 0 on; `uint` has 32 or 64 bits. */
export type UnsignedKind = 'u8' | 'u16' | 'u32' | 'u64' | 'uint';

/** A kind of attributes with signed numbers; `sint` has 32 or 64 bits. */
export type SignedKind = 's8' | 's16' | 's32' | 's64' | 'sint';

/** A kind of attributes with bytes. */
export type BytesKind = 'binary' | 'string' | 'nul-string';

const unsignedKinds = new Map<number, UnsignedKind>([
  [NL_ATTR_TYPE_U8, 'u8'],
  [NL_ATTR_TYPE_U16, 'u16'],
  [NL_ATTR_TYPE_U32, 'u32'],
  [NL_ATTR_TYPE_U64, 'u64'],
  [NL_ATTR_TYPE_UINT, 'uint'],
]);

const signedKinds = new Map<number, SignedKind>([
  [NL_ATTR_TYPE_S8, 's8'],
  [NL_ATTR_TYPE_S16, 's16'],
  [NL_ATTR_TYPE_S32, 's32'],
  [NL_ATTR_TYPE_S64, 's64'],
  [NL_ATTR_TYPE_SINT, 'sint'],
]);

const bytesKinds = new Map<number, BytesKind>([
  [NL_ATTR_TYPE_BINARY, 'binary'],
  [NL_ATTR_TYPE_STRING, 'string'],
  [NL_ATTR_TYPE_NUL_STRING, 'nul-string'],
]);

/** The values that the kernel accepts for one attribute. Limits that it does not report are absent. */
export type AttributePolicy =
  | { readonly kind: 'flag' }
  | {
      readonly kind: UnsignedKind;
      readonly min?: bigint;
      readonly max?: bigint;
      /** The bits that may be set. */
      readonly mask?: bigint;
    }
  | { readonly kind: SignedKind; readonly min?: bigint; readonly max?: bigint }
  | {
      readonly kind: BytesKind;
      /** In bytes; for a NUL-terminated string without the NUL. */
      readonly minLength?: number;
      readonly maxLength?: number;
    }
  | {
      readonly kind: 'nested' | 'nested-array';
      /** Policy number of the nested attributes. */
      readonly policy?: number;
      readonly maxType?: number;
    }
  | { readonly kind: 'bitfield32'; readonly mask?: number }
  /** A kind newer than this code: NL_ATTR_TYPE_* `type`. */
  | { readonly kind: 'unknown'; readonly type: number };

/**
 * Collects the messages of a CTRL_CMD_GETPOLICY dump: each describes one operation or one attribute.
 * @throws NetlinkProtocolError if a value has a wrong length or an attribute has no kind.
 */
export function decodePolicy(messages: Iterable<AttributeList>): GenlPolicy {
  const operations = new Map<number, OperationPolicy>();
  const policies = new Map<number, Map<number, AttributePolicy>>();
  for (const attributes of messages) {
    for (const { type: command, payload } of attributes.nested(CTRL_ATTR_OP_POLICY) ?? []) {
      operations.set(command, decodeOperationPolicy(AttributeList.parse(payload)));
    }
    for (const { type: index, payload } of attributes.nested(CTRL_ATTR_POLICY) ?? []) {
      const policy = policies.get(index) ?? new Map<number, AttributePolicy>();
      policies.set(index, policy);
      for (const attribute of AttributeList.parse(payload)) {
        policy.set(attribute.type, decodeAttributePolicy(AttributeList.parse(attribute.payload)));
      }
    }
  }
  return { operations, policies };
}

/**
 * Decodes the policy of one attribute: a part of a dump, or NLMSGERR_ATTR_POLICY of an extended acknowledgement.
 * @throws NetlinkProtocolError if a value has a wrong length or the kind is missing.
 */
export function decodeAttributePolicy(attributes: AttributeList): AttributePolicy {
  const type = attributes.u32(NL_POLICY_TYPE_ATTR_TYPE);
  if (type === undefined) throw new NetlinkProtocolError('the kernel described an attribute without its type');

  const unsigned = unsignedKinds.get(type);
  if (unsigned !== undefined) {
    return {
      kind: unsigned,
      ...given('min', attributes.u64(NL_POLICY_TYPE_ATTR_MIN_VALUE_U)),
      ...given('max', attributes.u64(NL_POLICY_TYPE_ATTR_MAX_VALUE_U)),
      ...given('mask', attributes.u64(NL_POLICY_TYPE_ATTR_MASK)),
    };
  }
  const signed = signedKinds.get(type);
  if (signed !== undefined) {
    return {
      kind: signed,
      ...given('min', attributes.s64(NL_POLICY_TYPE_ATTR_MIN_VALUE_S)),
      ...given('max', attributes.s64(NL_POLICY_TYPE_ATTR_MAX_VALUE_S)),
    };
  }
  const bytes = bytesKinds.get(type);
  if (bytes !== undefined) {
    return {
      kind: bytes,
      ...given('minLength', attributes.u32(NL_POLICY_TYPE_ATTR_MIN_LENGTH)),
      ...given('maxLength', attributes.u32(NL_POLICY_TYPE_ATTR_MAX_LENGTH)),
    };
  }
  switch (type) {
    case NL_ATTR_TYPE_FLAG:
      return { kind: 'flag' };
    case NL_ATTR_TYPE_NESTED:
    case NL_ATTR_TYPE_NESTED_ARRAY:
      return {
        kind: type === NL_ATTR_TYPE_NESTED ? 'nested' : 'nested-array',
        ...given('policy', attributes.u32(NL_POLICY_TYPE_ATTR_POLICY_IDX)),
        ...given('maxType', attributes.u32(NL_POLICY_TYPE_ATTR_POLICY_MAXTYPE)),
      };
    case NL_ATTR_TYPE_BITFIELD32:
      return { kind: 'bitfield32', ...given('mask', attributes.u32(NL_POLICY_TYPE_ATTR_BITFIELD32_MASK)) };
    default:
      return { kind: 'unknown', type };
  }
}

function decodeOperationPolicy(attributes: AttributeList): OperationPolicy {
  return {
    ...given('do', attributes.u32(CTRL_ATTR_POLICY_DO)),
    ...given('dump', attributes.u32(CTRL_ATTR_POLICY_DUMP)),
  };
}

/** An object with the property if it has a value, else an empty object. */
function given<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  // TypeScript widens a computed key to any text.
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}
