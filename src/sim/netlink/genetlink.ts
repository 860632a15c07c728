/** Generic netlink: families, their operations, and the dispatch of requests to them. net/netlink/genetlink.c */
import { littleEndian, viewOf } from '../../netlink/bytes.js';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_ECHO, NLM_F_MULTI, NLM_F_REQUEST } from '../../netlink/constants.js';
import { messageHeaderLength } from '../../netlink/message.js';
import { Errno } from '../../sys/errno.js';
import { MessageBuffer, NoRoomError } from './message-buffer.js';
import { parseAttributes } from './policy.js';
import type { Policy, RequestAttributes, Strictness } from './policy.js';
import { Refusal } from './refusal.js';
import type { Dump, NetlinkRequest } from './socket.js';
import { defaultDatagramSize } from './socket.js';

/** Length of `struct genlmsghdr`, in bytes. */
const headerLength = 4;

/** A handler of an operation: for one answer (`do`), or for a dump. */
interface Handler<Answer> {
  readonly policy: Policy;
  readonly strictness: Strictness;
  readonly run: (request: GenlRequest) => Answer;
}

/** A command of a family, with its handlers. */
export interface Operation {
  readonly command: number;
  /** GENL_ADMIN_PERM: only for a user with CAP_NET_ADMIN. */
  readonly privileged: boolean;
  readonly do?: Handler<void>;
  readonly dump?: Handler<Dump>;
}

export interface Family {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly maxAttribute: number;
  /** The header is checked strictly from this command on. */
  readonly reservedStart: number;
  readonly operations: readonly Operation[];
  readonly multicastGroups: readonly { readonly id: number; readonly name: string }[];
}

/** A request that reached its family. */
export class GenlRequest {
  readonly family: Family;
  readonly netlink: NetlinkRequest;
  readonly attributes: RequestAttributes;
  /** The header of the last answer; all messages of a dump have the same. */
  #header = new Uint8Array(headerLength);

  constructor(family: Family, netlink: NetlinkRequest, attributes: RequestAttributes) {
    this.family = family;
    this.netlink = netlink;
    this.attributes = attributes;
  }

  get extack(): NetlinkRequest['extack'] {
    return this.netlink.extack;
  }

  /** Rejects the request with an errno and the kernel's message. */
  refuse(errno: number, message?: string): never {
    if (message !== undefined) this.extack.message = message;
    throw new Refusal(errno);
  }

  /**
   * Answers with one message of the family.
   * @throws Refusal EMSGSIZE if it does not fit a datagram of the usual size.
   */
  reply(command: number, write: (buffer: MessageBuffer) => void): void {
    const buffer = new MessageBuffer(defaultDatagramSize);
    try {
      this.#message(buffer, command, 0, write);
    } catch (error) {
      throw error instanceof NoRoomError ? new Refusal(Errno.EMSGSIZE) : error;
    }
    this.netlink.answer(buffer.finish());
  }

  /** Adds one message of a dump to its datagram. Returns whether it fitted. */
  part(buffer: MessageBuffer, command: number, write: (buffer: MessageBuffer) => void): boolean {
    try {
      this.#message(buffer, command, NLM_F_MULTI, write);
      return true;
    } catch (error) {
      if (error instanceof NoRoomError) return false;
      throw error;
    }
  }

  #message(buffer: MessageBuffer, command: number, flags: number, write: (buffer: MessageBuffer) => void): void {
    const { id, version } = this.family;
    const { seq, port } = this.netlink;
    if (this.#header[0] !== command) this.#header = Uint8Array.of(command, version, 0, 0);
    buffer.message({ type: id, flags, seq, port }, this.#header, write);
  }
}

/**
 * Dispatches a request to its family and operation.
 * @returns the dump that it starts, if any
 * @throws Refusal
 */
export function handleGenericMessage(families: readonly Family[], request: NetlinkRequest): Dump | undefined {
  const family = families.find(({ id }) => id === request.type);
  if (family === undefined) throw new Refusal(Errno.ENOENT);
  if (request.length < messageHeaderLength + headerLength) throw new Refusal(Errno.EINVAL);

  const view = viewOf(request.datagram);
  const command = view.getUint8(request.start + messageHeaderLength);
  const reserved = view.getUint16(request.start + messageHeaderLength + 2, littleEndian);
  const asksForDump = (request.flags & NLM_F_DUMP) === NLM_F_DUMP;
  if (command >= family.reservedStart) checkHeader(request, reserved, asksForDump);

  const operation = family.operations.find((candidate) => candidate.command === command);
  const answers = asksForDump ? operation?.dump : operation?.do;
  if (operation === undefined || answers === undefined) throw new Refusal(Errno.EOPNOTSUPP);
  if (operation.privileged && !request.privileged) throw new Refusal(Errno.EPERM);
  if (asksForDump && request.dumping) throw new Refusal(Errno.EBUSY);

  const range = {
    messageStart: request.start,
    from: request.start + messageHeaderLength + headerLength,
    to: request.start + request.length,
  };
  const { policy, strictness } = answers;
  const attributes = parseAttributes(request.datagram, range, policy, strictness, request.extack);
  const parsed = new GenlRequest(family, request, attributes);
  if (asksForDump) return operation.dump?.run(parsed);
  operation.do?.run(parsed);
  return undefined;
}

function checkHeader(request: NetlinkRequest, reserved: number, asksForDump: boolean): void {
  if (reserved !== 0) {
    request.extack.message = 'genlmsghdr.reserved field is not 0';
    throw new Refusal(Errno.EINVAL);
  }
  const flags = asksForDump ? request.flags & ~NLM_F_DUMP : request.flags;
  if ((flags & ~(NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO)) !== 0) {
    request.extack.message = 'ambiguous or reserved bits set in nlmsg_flags';
    throw new Refusal(Errno.EINVAL);
  }
}
