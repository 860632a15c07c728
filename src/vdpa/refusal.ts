/**
 * Explains the kernel's errors in terms of the command line: which argument is rejected, and which values the kernel
 * accepts.
 */
import { AttributeList } from '../netlink/attribute.js';
import type { NetlinkError, SentAttribute } from '../netlink/error.js';
import { decodeAttributePolicy, type AttributePolicy } from '../netlink/genl-policy.js';
import { littleEndian } from '../netlink/bytes.js';
import { decodeText } from '../netlink/text-encoding.js';
import { Errno } from '../sys/errno.js';
import { featureBits, featureName } from '../virtio/features.js';
import { VIRTIO_ID_NET } from '../virtio/ids.js';
import { vdpaAttributeName } from './names.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NAME,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
  VDPA_ATTR_DEV_QUEUE_INDEX,
  VDPA_ATTR_MGMTDEV_BUS_NAME,
  VDPA_ATTR_MGMTDEV_DEV_NAME,
} from './uapi.js';

/** Names of request attributes on the command line. */
const keywords: Readonly<Partial<Record<number, string>>> = {
  [VDPA_ATTR_MGMTDEV_BUS_NAME]: 'mgmtdev',
  [VDPA_ATTR_MGMTDEV_DEV_NAME]: 'mgmtdev',
  [VDPA_ATTR_DEV_NAME]: 'name',
  [VDPA_ATTR_DEV_NET_CFG_MACADDR]: 'mac',
  [VDPA_ATTR_DEV_NET_CFG_MAX_VQP]: 'max_vqp',
  [VDPA_ATTR_DEV_NET_CFG_MTU]: 'mtu',
  [VDPA_ATTR_DEV_QUEUE_INDEX]: 'qidx',
  [VDPA_ATTR_DEV_FEATURES]: 'device_features',
};

function keywordOf(attribute: number): string {
  return keywords[attribute] ?? vdpaAttributeName(attribute);
}

/**
 * Explains an error, from the attribute and policy of the extended acknowledgement, or from the masks in the kernel's
 * message (drivers/vdpa/vdpa.c, vdpa_nl_cmd_dev_add_set_doit()).
 * @returns one sentence without its full stop; undefined if the kernel's message says it all
 */
export function explainRefusal({ errno, kernelMessage = '', ...error }: NetlinkError): string | undefined {
  if (error.missingType !== undefined) return `Missing ${keywordOf(error.missingType)}`;
  if (error.attribute !== undefined) return explainAttribute(error.attribute, kernelMessage, error.policy);
  const attributes = maskIn(kernelMessage, /Some provided attributes are not supported: 0x([0-9a-f]+)/);
  if (attributes !== undefined)
    return `Not supported by the management device: ${attributes.map(keywordOf).join(', ')}`;
  const features = maskIn(kernelMessage, /Missing features 0x([0-9a-f]+) for provided attributes/);
  if (features !== undefined) {
    const names = features.map((bit) => featureName(bit, VIRTIO_ID_NET) ?? `bit_${bit}`);
    return `Add ${names.join(',')} to device_features`;
  }
  if (errno === Errno.EPERM) return 'Run as root: this requires CAP_NET_ADMIN in the initial user namespace';
  return undefined;
}

/** The bits of the mask that matches a pattern. */
function maskIn(text: string, pattern: RegExp): number[] | undefined {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? undefined : featureBits(BigInt(`0x${digits}`));
}

function explainAttribute(
  { type, payload }: SentAttribute,
  kernelMessage: string,
  policy: Uint8Array | undefined,
): string | undefined {
  const keyword = keywordOf(type);
  if (policy !== undefined) {
    const described = decodeAttributePolicy(AttributeList.parse(policy));
    const expected = expectation(described);
    return expected && `Invalid ${keyword} "${valueText(payload, described)}": expected ${expected}`;
  }
  // Messages of __nla_validate_parse() for attributes that an older kernel does not know.
  if (/^(Unknown attribute type|Unsupported attribute)/.test(kernelMessage)) {
    return `${keyword} is not supported by this kernel; a newer one may support it`;
  }
  return `The kernel rejected ${keyword}`;
}

function expectation(policy: AttributePolicy): string | undefined {
  switch (policy.kind) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'uint':
      if (policy.mask !== undefined) return `a number with no bits outside 0x${policy.mask.toString(16)}`;
      return range('a number', policy.min, policy.max);
    case 'binary':
    case 'string':
    case 'nul-string': {
      const { minLength, maxLength } = policy;
      if (minLength !== undefined && minLength === maxLength) return `${minLength} bytes`;
      return range('a length in bytes', minLength, maxLength);
    }
    default:
      return undefined;
  }
}

function range(what: string, min: number | bigint | undefined, max: number | bigint | undefined): string | undefined {
  if (min === undefined && max === undefined) return undefined;
  if (max === undefined) return `${what} of at least ${min ?? 0}`;
  return `${what} from ${min ?? 0} to ${max}`;
}

/** The value that was sent, as written on the command line. */
function valueText(payload: Uint8Array, { kind }: AttributePolicy): string {
  switch (kind) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'uint':
      return unsigned(payload).toString();
    case 'string':
    case 'nul-string':
      return decodeText(payload).replace(/\0$/, '');
    default:
      return Array.from(payload, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  }
}

/** A number of any length, in the machine's byte order. */
function unsigned(payload: Uint8Array): bigint {
  const bytes = littleEndian ? payload.toReversed() : payload;
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
