/**
 * The policy of one attribute, and its description by the kernel in CTRL_CMD_GETPOLICY and in errors:
 * net/netlink/policy.c.
 */
import {
  NL_ATTR_TYPE_BINARY,
  NL_ATTR_TYPE_NUL_STRING,
  NL_ATTR_TYPE_STRING,
  NL_ATTR_TYPE_U16,
  NL_ATTR_TYPE_U32,
  NL_ATTR_TYPE_U64,
  NL_POLICY_TYPE_ATTR_MAX_LENGTH,
  NL_POLICY_TYPE_ATTR_MAX_VALUE_U,
  NL_POLICY_TYPE_ATTR_MIN_LENGTH,
  NL_POLICY_TYPE_ATTR_MIN_VALUE_U,
  NL_POLICY_TYPE_ATTR_TYPE,
} from '../../netlink/constants.js';
import type { MessageBuffer } from './message-buffer.js';

/** A family's rules for one attribute: `struct nla_policy`. Lengths in bytes. */
export type AttributePolicy =
  | { readonly kind: 'u16' | 'u32' | 'u64'; readonly min?: bigint }
  | { readonly kind: 'string' | 'nul-string'; readonly maxLength?: number }
  | { readonly kind: 'binary'; readonly minLength: number; readonly maxLength: number };

/** enum netlink_attribute_type of each kind. */
const attributeType = {
  u16: NL_ATTR_TYPE_U16,
  u32: NL_ATTR_TYPE_U32,
  u64: NL_ATTR_TYPE_U64,
  string: NL_ATTR_TYPE_STRING,
  'nul-string': NL_ATTR_TYPE_NUL_STRING,
  binary: NL_ATTR_TYPE_BINARY,
} as const satisfies Record<AttributePolicy['kind'], number>;

const largest = { u16: 0xffffn, u32: 0xffff_ffffn, u64: 0xffff_ffff_ffff_ffffn } as const;

/** Writes the description of a policy (`NL_POLICY_TYPE_ATTR_*`). */
export function writeAttributePolicy(buffer: MessageBuffer, policy: AttributePolicy): void {
  switch (policy.kind) {
    case 'u16':
    case 'u32':
    case 'u64':
      buffer.u64(NL_POLICY_TYPE_ATTR_MIN_VALUE_U, policy.min ?? 0n);
      buffer.u64(NL_POLICY_TYPE_ATTR_MAX_VALUE_U, largest[policy.kind]);
      break;
    case 'string':
    case 'nul-string':
      if (policy.maxLength !== undefined) buffer.u32(NL_POLICY_TYPE_ATTR_MAX_LENGTH, policy.maxLength);
      break;
    case 'binary':
      buffer.u32(NL_POLICY_TYPE_ATTR_MIN_LENGTH, policy.minLength);
      buffer.u32(NL_POLICY_TYPE_ATTR_MAX_LENGTH, policy.maxLength);
      break;
  }
  buffer.u32(NL_POLICY_TYPE_ATTR_TYPE, attributeType[policy.kind]);
}
