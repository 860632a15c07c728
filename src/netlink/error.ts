import { errnoName, strerror } from './errno.js';

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
  /** NLMSGERR_ATTR_POLICY: the policy that the attribute at `offset` broke, as undecoded attributes (`NL_POLICY_TYPE_ATTR_*`). */
  readonly policy?: Uint8Array;
}

/** What a {@link NetlinkError} is made of. */
export interface NetlinkErrorDetails extends ExtendedAck {
  /** What was being done, for people: `add vdpa device foo0`, `open netlink socket`. */
  readonly operation: string;
  /** The error number, positive. */
  readonly errno: number;
  /** What to do about it or what lies behind it, for people. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The kernel, or the socket, refused an operation. */
export class NetlinkError extends Error implements ExtendedAck {
  override readonly name: string = 'NetlinkError';
  /** What was being done, for people. */
  readonly operation: string;
  /** The error number, positive: 19 for ENODEV. */
  readonly errno: number;
  /** Its name: `ENODEV`. */
  readonly code: string;
  /** glibc's text for it: `No such device`. */
  readonly reason: string;
  declare readonly kernelMessage?: string;
  declare readonly offset?: number;
  declare readonly missingType?: number;
  declare readonly missingNest?: number;
  declare readonly policy?: Uint8Array;
  declare readonly hint?: string;

  constructor(details: NetlinkErrorDetails) {
    super(describe(details), details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.errno = details.errno;
    this.code = errnoName(details.errno);
    this.reason = strerror(details.errno);
    if (details.kernelMessage !== undefined) this.kernelMessage = details.kernelMessage;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.missingType !== undefined) this.missingType = details.missingType;
    if (details.missingNest !== undefined) this.missingNest = details.missingNest;
    if (details.policy !== undefined) this.policy = details.policy;
    if (details.hint !== undefined) this.hint = details.hint;
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

/** The machine gives no netlink socket of this protocol (EAFNOSUPPORT, EPROTONOSUPPORT): not built in, or kept from this process. */
export class NetlinkUnavailableError extends NetlinkError {
  override readonly name = 'NetlinkUnavailableError';
}

/** Bytes that break the rules of netlink: truncated, a wrong length, an attribute past the end. */
export class NetlinkProtocolError extends Error {
  override readonly name = 'NetlinkProtocolError';
}

function describe(details: NetlinkErrorDetails): string {
  let text = `${details.operation}: ${strerror(details.errno)} (${errnoName(details.errno)})`;
  if (details.kernelMessage !== undefined) text += `: ${details.kernelMessage}`;
  if (details.missingType !== undefined) text += `; the kernel misses attribute ${details.missingType} in the request`;
  else if (details.offset !== undefined) text += `; it concerns byte ${details.offset} of the request`;
  if (details.hint !== undefined) text += `. ${details.hint}`;
  return text;
}
