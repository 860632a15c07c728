import { SystemError, describeSystemError } from '../sys/error.js';
import type { SystemErrorDetails } from '../sys/error.js';

/** What the kernel says beside the error number in an extended acknowledgement (`enum nlmsgerr_attrs`). */
export interface ExtendedAck {
  /** NLMSGERR_ATTR_MSG: the kernel's own words, such as `vdpa: device not found`. */
  readonly kernelMessage?: string;
  /** NLMSGERR_ATTR_OFFS: where the refused attribute starts, in bytes from the start of the request's nlmsghdr. */
  readonly offset?: number;
  /** NLMSGERR_ATTR_MISS_TYPE: the type of an attribute that the kernel needs and the request lacks. */
  readonly missingType?: number;
  /** NLMSGERR_ATTR_MISS_NEST: where the nest that lacks `missingType` starts in the request; absent at the top level. */
  readonly missingNest?: number;
  /** NLMSGERR_ATTR_POLICY: the policy that the attribute at `offset` broke, undecoded (`NL_POLICY_TYPE_ATTR_*`). */
  readonly policy?: Uint8Array;
}

/** An attribute of a request, as it was sent. */
export interface SentAttribute {
  /** The family's number for it. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/** What a {@link NetlinkError} is made of. */
export interface NetlinkErrorDetails extends ExtendedAck, SystemErrorDetails {
  /** The attribute of the request that stands at `offset`. */
  readonly attribute?: SentAttribute;
}

/** The kernel, or the socket, refused an operation. Says which one, with what error number, and what the kernel said. */
export class NetlinkError extends SystemError implements ExtendedAck {
  override readonly name: string = 'NetlinkError';
  declare readonly kernelMessage?: string;
  declare readonly offset?: number;
  declare readonly missingType?: number;
  declare readonly missingNest?: number;
  declare readonly policy?: Uint8Array;
  /** The refused attribute, where the kernel says which one it is. */
  declare readonly attribute?: SentAttribute;

  readonly #details: NetlinkErrorDetails;

  constructor(details: NetlinkErrorDetails) {
    super(details, describe(details));
    this.#details = details;
    if (details.kernelMessage !== undefined) this.kernelMessage = details.kernelMessage;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.missingType !== undefined) this.missingType = details.missingType;
    if (details.missingNest !== undefined) this.missingNest = details.missingNest;
    if (details.policy !== undefined) this.policy = details.policy;
    if (details.attribute !== undefined) this.attribute = details.attribute;
  }

  /** The same refusal with what to do about it, or what lies behind it: one sentence. It is the other's cause. */
  withHint(hint: string): NetlinkError {
    return new NetlinkError({ ...this.#details, hint, cause: this });
  }
}

/** The kernel has no generic netlink family of this name: its module is not loaded or not built. */
export class GenlFamilyNotFoundError extends NetlinkError {
  override readonly name = 'GenlFamilyNotFoundError';
  /** The family's name, such as `vdpa`. */
  readonly family: string;

  constructor(family: string, details: NetlinkErrorDetails) {
    super(details);
    this.family = family;
  }
}

/** The machine gives no netlink socket of the protocol (EAFNOSUPPORT, EPROTONOSUPPORT): not built in, or kept from this process. */
export class NetlinkUnavailableError extends NetlinkError {
  override readonly name = 'NetlinkUnavailableError';
}

/** Bytes that break the rules of netlink: truncated, a wrong length, an attribute past the end. */
export class NetlinkProtocolError extends Error {
  override readonly name = 'NetlinkProtocolError';
}

/** A way to reach the machine's netlink (a transport) is unknown, not installed, or cannot do what is asked of it. */
export class NetlinkTransportError extends Error {
  override readonly name = 'NetlinkTransportError';
}

function describe(details: NetlinkErrorDetails): string {
  let middle = details.kernelMessage === undefined ? '' : `: ${details.kernelMessage}`;
  if (details.missingType !== undefined) middle += ` (attribute ${details.missingType} is missing in the request)`;
  else if (details.attribute !== undefined) middle += ` (about attribute ${details.attribute.type} of the request)`;
  else if (details.offset !== undefined) middle += ` (about byte ${details.offset} of the request)`;
  return describeSystemError(details, middle);
}
