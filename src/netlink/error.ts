import { SystemError, describeSystemError } from '../sys/error.js';
import type { SystemErrorDetails } from '../sys/error.js';

/** Contents of an extended acknowledgement besides the error number (`enum nlmsgerr_attrs`). */
export interface ExtendedAck {
  /** NLMSGERR_ATTR_MSG: the kernel's message, such as `vdpa: device not found`. */
  readonly kernelMessage?: string;
  /** NLMSGERR_ATTR_OFFS: where the rejected attribute starts, in bytes from the start of the request's nlmsghdr. */
  readonly offset?: number;
  /** NLMSGERR_ATTR_MISS_TYPE: the type of a required attribute that is missing from the request. */
  readonly missingType?: number;
  /**
   * NLMSGERR_ATTR_MISS_NEST: where the nest that lacks `missingType` starts in the request; absent at the top level.
   */
  readonly missingNest?: number;
  /** NLMSGERR_ATTR_POLICY: the policy that the attribute at `offset` violates, undecoded (`NL_POLICY_TYPE_ATTR_*`). */
  readonly policy?: Uint8Array;
}

/** An attribute of a request, as it was sent. */
export interface SentAttribute {
  /** The family's number for it. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/** Properties of a {@link NetlinkError}. */
export interface NetlinkErrorDetails extends ExtendedAck, SystemErrorDetails {
  /** The attribute of the request at `offset`. */
  readonly attribute?: SentAttribute;
}

/** The kernel or the socket rejected an operation. Has the operation, the error number and the kernel's message. */
export class NetlinkError extends SystemError implements ExtendedAck {
  override readonly name: string = 'NetlinkError';
  declare readonly kernelMessage?: string;
  declare readonly offset?: number;
  declare readonly missingType?: number;
  declare readonly missingNest?: number;
  declare readonly policy?: Uint8Array;
  /** The rejected attribute, if the kernel reports it. */
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

  /**
   * The same error with a hint: one sentence that says what to do or explains the cause. This error is the cause of the
   * new one.
   */
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

/**
 * The machine has no netlink sockets of the protocol (EAFNOSUPPORT, EPROTONOSUPPORT): not built in, or not permitted
 * for this process.
 */
export class NetlinkUnavailableError extends NetlinkError {
  override readonly name = 'NetlinkUnavailableError';
}

/** Invalid netlink data: truncated, a wrong length, an attribute past the end. */
export class NetlinkProtocolError extends Error {
  override readonly name = 'NetlinkProtocolError';
}

/** A transport to netlink is unknown, not installed, or does not support what is requested. */
export class NetlinkTransportError extends Error {
  override readonly name = 'NetlinkTransportError';
}

function describe(details: NetlinkErrorDetails): string {
  let middle = details.kernelMessage === undefined ? '' : `: ${details.kernelMessage}`;
  if (details.missingType !== undefined) middle += ` (missing attribute ${details.missingType})`;
  else if (details.attribute !== undefined) middle += ` (attribute ${details.attribute.type})`;
  else if (details.offset !== undefined) middle += ` (byte ${details.offset} of the request)`;
  return describeSystemError(details, middle);
}
