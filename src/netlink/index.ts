/// <reference types="node" preserve="true" />
/**
 * Netlink for Node: messages, attributes, sockets, generic netlink. Knows no family but the generic netlink controller.
 *
 * @example
 * const socket = await GenlSocket.open();
 * const family = await socket.family('nlctrl');
 * const messages = await socket.gather(family, { command: CTRL_CMD_GETFAMILY, dump: true });
 * await socket.close();
 */
export * from './constants.js';
export * from './genl-constants.js';
export { Errno, errnoName, strerror } from '../sys/errno.js';
export type { ErrnoName } from '../sys/errno.js';
export {
  GenlFamilyNotFoundError,
  NetlinkTransportError,
  NetlinkError,
  NetlinkProtocolError,
  NetlinkUnavailableError,
} from './error.js';
export { ArgumentError } from '../sys/error.js';
export type { WaitOptions } from '../sys/wait.js';
export type { ExtendedAck, NetlinkErrorDetails, SentAttribute } from './error.js';
export { decodeText, encodeText } from './text-encoding.js';
export { AttributeList, AttributeWriter } from './attribute.js';
export type { Attribute } from './attribute.js';
export { decodeMessages, encodeMessage } from './message.js';
export type { NetlinkMessage } from './message.js';
export type { NetlinkTransport, TransportOptions } from './transport.js';
export { traceTransport, type TraceOptions } from './trace.js';
export { MessageDescriber } from './message-describer.js';
export { controlNames, type AttributeKind, type AttributeNames, type FamilyNames } from './schema.js';
export { NetlinkSocket } from './socket.js';
export type { NetlinkSocketOptions, RequestOptions } from './socket.js';
export { GenlSocket, decodeGenl, encodeGenl } from './genl.js';
export type { GenlMessage, GenlRequest } from './genl.js';
export type { GenlFamily, GenlMulticastGroup, GenlOperation } from './genl-family.js';
export { decodeAttributePolicy } from './genl-policy.js';
export type {
  AttributePolicy,
  BytesKind,
  GenlPolicy,
  OperationPolicy,
  SignedKind,
  UnsignedKind,
} from './genl-policy.js';
export { transportNames, chosenTransport, openTransport } from './transports/index.js';
export type { TransportName } from './transports/index.js';
