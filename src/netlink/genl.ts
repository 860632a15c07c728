import { Errno } from '../sys/errno.js';
import type { WaitOptions } from '../sys/wait.js';
import { AttributeList, AttributeWriter } from './attribute.js';
import { align } from './bytes.js';
import { NETLINK_GENERIC, NLM_F_DUMP } from './constants.js';
import { GenlFamilyNotFoundError, NetlinkError, NetlinkProtocolError } from './error.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_CMD_GETFAMILY,
  CTRL_CMD_GETPOLICY,
} from './genl-constants.js';
import { controlFamily, decodeFamily } from './genl-family.js';
import type { GenlFamily } from './genl-family.js';
import type { GenlPolicy } from './genl-policy.js';
import type { NetlinkMessage } from './message.js';
import { allocate } from './buffer-pool.js';
import { NetlinkSocket } from './socket.js';
import type { NetlinkSocketOptions, RequestOptions } from './socket.js';
import type { NetlinkTransport } from './transport.js';

/** Length of `struct genlmsghdr`, in bytes. */
export const genlHeaderLength = 4;

/** A message of a generic netlink family: `struct genlmsghdr` of linux/genetlink.h and what follows it. */
export interface GenlMessage {
  readonly command: number;
  readonly version: number;
  readonly attributes: AttributeList;
}

/** A request to a generic netlink family. */
export interface GenlRequest {
  readonly command: number;
  /** Its attributes, from {@link AttributeWriter.finish}; none if absent. */
  readonly attributes?: Uint8Array;
  /** Requests all objects (NLM_F_DUMP). */
  readonly dump?: boolean;
}

/** Encodes a generic netlink message as the payload of a netlink message. The family's own header is zero. */
export function encodeGenl(family: GenlFamily, request: GenlRequest): Uint8Array {
  const { attributes } = request;
  const start = genlHeaderLength + align(family.headerSize);
  const bytes = allocate(start + (attributes?.length ?? 0));
  bytes[0] = request.command;
  bytes[1] = family.version;
  if (attributes !== undefined) bytes.set(attributes, start);
  return bytes;
}

/**
 * Decodes a netlink message of a generic netlink family.
 * @param headerSize length of the family's own header, which is skipped.
 * @throws NetlinkProtocolError if it is too short or its attributes are invalid.
 */
export function decodeGenl(message: NetlinkMessage, headerSize = 0): GenlMessage {
  const { payload } = message;
  const start = genlHeaderLength + align(headerSize);
  if (payload.length < start) {
    throw new NetlinkProtocolError(
      `generic netlink message has ${payload.length} bytes, too few for its header of ${start}`,
    );
  }
  const command = payload[0] ?? 0;
  const version = payload[1] ?? 0;
  return { command, version, attributes: AttributeList.parse(payload, start) };
}

/** A netlink socket for generic netlink: finds families and makes requests to them. */
export class GenlSocket {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * Opens a socket for generic netlink.
   * @param transport the transport; by default to the kernel of this machine.
   * @param options time limit of its requests.
   * @throws NetlinkUnavailableError if the machine has no generic netlink.
   */
  static async open(transport?: NetlinkTransport, options: NetlinkSocketOptions = {}): Promise<GenlSocket> {
    if (transport === undefined) {
      const { openTransport } = await import('./transports/index.js');
      transport = await openTransport({ protocol: NETLINK_GENERIC });
    }
    return new GenlSocket(new NetlinkSocket(transport, options));
  }

  /**
   * Finds a family by name. If the family does not exist, the kernel tries to load its module.
   * @throws GenlFamilyNotFoundError if there is no such family.
   */
  async family(name: string, options: WaitOptions = {}): Promise<GenlFamily> {
    const attributes = new AttributeWriter().string(CTRL_ATTR_FAMILY_NAME, name).finish();
    const operation = `find generic netlink family ${name}`;
    const found: GenlFamily[] = [];
    try {
      const onMessage = (message: GenlMessage): void => void found.push(decodeFamily(message.attributes));
      await this.execute(controlFamily, { command: CTRL_CMD_GETFAMILY, attributes }, onMessage, {
        ...options,
        operation,
      });
    } catch (cause) {
      if (!(cause instanceof NetlinkError && cause.errno === Errno.ENOENT)) throw cause;
      const hint = 'The kernel does not have this family: is its module built and loaded?';
      throw new GenlFamilyNotFoundError(name, { operation, errno: cause.errno, hint, cause });
    }
    const [family] = found;
    if (family === undefined)
      throw new NetlinkProtocolError(`${operation}: the kernel succeeded without returning a family`);
    return family;
  }

  /** All families of the kernel. */
  async families(options: WaitOptions = {}): Promise<GenlFamily[]> {
    const operation = 'list generic netlink families';
    const request = { command: CTRL_CMD_GETFAMILY, dump: true };
    const messages = await this.gather(controlFamily, request, { ...options, operation });
    return messages.map(({ attributes }) => decodeFamily(attributes));
  }

  /**
   * The requests that a family accepts. Empty if the kernel does not check them.
   * @throws NetlinkError with `EOPNOTSUPP` on kernels without this request (before 5.7).
   */
  async policy(family: GenlFamily, options: WaitOptions = {}): Promise<GenlPolicy> {
    const attributes = new AttributeWriter().u16(CTRL_ATTR_FAMILY_ID, family.id).finish();
    const operation = `get the policy of generic netlink family ${family.name}`;
    const { decodePolicy } = await import('./genl-policy.js');
    try {
      const request = { command: CTRL_CMD_GETPOLICY, attributes, dump: true };
      const messages = await this.gather(controlFamily, request, { ...options, operation });
      return decodePolicy(messages.map((message) => message.attributes));
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === Errno.ENODATA) return decodePolicy([]);
      throw error;
    }
  }

  /**
   * Makes a request to a family and reads its answers to the end. See {@link NetlinkSocket.request}.
   * @param onMessage called with each answer, in order.
   * @throws NetlinkError if the kernel rejects it; NetlinkProtocolError if the answers are invalid.
   */
  execute(
    family: GenlFamily,
    request: GenlRequest,
    onMessage: (message: GenlMessage) => void,
    options: RequestOptions = {},
  ): Promise<void> {
    const flags = request.dump === true ? NLM_F_DUMP : 0;
    return this.#socket.request(
      family.id,
      flags,
      encodeGenl(family, request),
      (message) => {
        if (message.type !== family.id) {
          throw new NetlinkProtocolError(
            `the kernel answered with message type ${message.type}, not ${family.id} (${family.name})`,
          );
        }
        onMessage(decodeGenl(message, family.headerSize));
      },
      options,
    );
  }

  /** As {@link execute}, but returns all answers together; repeats a dump that was interrupted. */
  async gather(
    family: GenlFamily,
    request: GenlRequest,
    options: Omit<RequestOptions, 'onRestart'> = {},
  ): Promise<GenlMessage[]> {
    let messages: GenlMessage[] = [];
    const onRestart = (): void => {
      messages = [];
    };
    await this.execute(family, request, (message) => messages.push(message), { ...options, onRestart });
    return messages;
  }

  /** Waits for running requests, except those whose signal is aborted, and closes the socket. */
  close(): Promise<void> {
    return this.#socket.close();
  }

  /** As {@link close}, at the end of the block of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
