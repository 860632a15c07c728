/** Netlink messages as JSON, for records of what a program requested. */
import { errnoName } from '../sys/errno.js';
import { decodeDone, decodeError } from './acknowledgement.js';
import { AttributeList, type Attribute } from './attribute.js';
import { scalarValue } from './attribute-value.js';
import { NLMSG_DONE, NLMSG_ERROR, NLM_F_DUMP, NLM_F_REQUEST } from './constants.js';
import { NetlinkProtocolError } from './error.js';
import { CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, GENL_ID_CTRL } from './genl-constants.js';
import { decodeGenl } from './genl.js';
import { decodeMessages, type NetlinkMessage } from './message.js';
import { controlNames, type AttributeKind, type AttributeNames, type FamilyNames } from './schema.js';

/** A number of at most 32 bits, a 64-bit number as `0x…`, a text, or bytes as `00:11:22`; nested attributes, or a list of these. */
export type JsonValue = number | string | JsonAttributes | readonly JsonValue[];

/** Attributes by name. One that occurs repeatedly is a list. */
export interface JsonAttributes {
  readonly [name: string]: JsonValue;
}

/** A netlink message. Names are those of the kernel's headers without their prefixes, or numbers if unknown. */
export type JsonMessage =
  | {
      readonly type: 'request';
      readonly seq: number;
      readonly family: string;
      readonly command: string;
      /** Requests all objects. */
      readonly dump: boolean;
      readonly attributes: JsonAttributes;
    }
  | {
      readonly type: 'answer';
      readonly seq: number;
      readonly family: string;
      readonly command: string;
      readonly attributes: JsonAttributes;
    }
  /** Ends a request, or the list of all objects. Without an error, it succeeded. */
  | { readonly type: 'acknowledgement'; readonly seq: number; readonly error?: string; readonly message?: string }
  | { readonly type: 'invalid'; readonly bytes: string };

const unnamed: FamilyNames = { commands: {}, attributes: {} };

/**
 * Converts the messages of a generic netlink socket. It learns the ids of families from answers of the controller, so it
 * must see all messages of the socket.
 */
export class MessageConverter {
  readonly #names: Readonly<Record<string, FamilyNames>>;
  readonly #families = new Map<number, string>([[GENL_ID_CTRL, 'nlctrl']]);

  /** @param names the names of messages, by family name */
  constructor(names: Readonly<Record<string, FamilyNames>> = {}) {
    this.#names = { nlctrl: controlNames, ...names };
  }

  /** Every message of a datagram. Never throws: what cannot be parsed is `invalid`. */
  convert(datagram: Uint8Array): JsonMessage[] {
    try {
      return decodeMessages(datagram).map((message) => this.#convert(message));
    } catch (error) {
      if (!(error instanceof NetlinkProtocolError)) throw error;
      return [{ type: 'invalid', bytes: colonHex(datagram) }];
    }
  }

  #convert(message: NetlinkMessage): JsonMessage {
    const { seq, flags } = message;
    if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
      const { errno, extended } = message.type === NLMSG_ERROR ? decodeError(message) : decodeDone(message);
      const { kernelMessage } = extended;
      return {
        type: 'acknowledgement',
        seq,
        ...(errno !== 0 && { error: errnoName(errno) }),
        ...(kernelMessage !== undefined && { message: kernelMessage }),
      };
    }
    const family = this.#families.get(message.type) ?? String(message.type);
    const names = this.#names[family] ?? unnamed;
    const { command, attributes } = decodeGenl(message);
    if (message.type === GENL_ID_CTRL) this.#learn(attributes);
    const content = {
      seq,
      family,
      command: names.commands[command] ?? String(command),
      attributes: convertAttributes(attributes, names.attributes),
    };
    return (flags & NLM_F_REQUEST) === 0
      ? { type: 'answer', ...content }
      : { type: 'request', ...content, dump: (flags & NLM_F_DUMP) === NLM_F_DUMP };
  }

  #learn(attributes: AttributeList): void {
    const id = attributes.u16(CTRL_ATTR_FAMILY_ID);
    const name = attributes.string(CTRL_ATTR_FAMILY_NAME);
    if (id !== undefined && name !== undefined) this.#families.set(id, name);
  }
}

function convertAttributes(attributes: AttributeList, names: AttributeNames): JsonAttributes {
  const values = new Map<string, JsonValue[]>();
  for (const attribute of attributes) {
    const [name, kind] = names[attribute.type] ?? [String(attribute.type), 'bytes' as const];
    values.set(name, [...(values.get(name) ?? []), convertValue(kind, attribute)]);
  }
  return Object.fromEntries(
    [...values].map(([name, list]) => {
      const [first, ...more] = list;
      return [name, first !== undefined && more.length === 0 ? first : list];
    }),
  );
}

function convertValue(kind: AttributeKind, attribute: Attribute): JsonValue {
  if (kind === 'bytes') return colonHex(attribute.payload);
  if (typeof kind === 'object') {
    const inner = AttributeList.parse(attribute.payload);
    if ('nested' in kind) return convertAttributes(inner, kind.nested);
    return Array.from(inner, ({ payload }) => convertAttributes(AttributeList.parse(payload), kind.list));
  }
  const value = scalarValue(kind, attribute);
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}

function colonHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
