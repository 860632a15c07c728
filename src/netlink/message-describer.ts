/** Prints netlink messages as text, with names and bytes. */
import { decodeDone, decodeError } from './acknowledgement.js';
import { AttributeList, findAttribute, type Attribute } from './attribute.js';
import { scalarValue } from './attribute-value.js';
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLM_F_REQUEST,
} from './constants.js';
import { errnoName } from '../sys/errno.js';
import { NetlinkProtocolError, type ExtendedAck } from './error.js';
import { CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, GENL_ID_CTRL } from './genl-constants.js';
import { decodeGenl } from './genl.js';
import { decodeAttributePolicy, type AttributePolicy } from './genl-policy.js';
import { decodeMessages, encodeMessage, messageHeaderLength, type NetlinkMessage } from './message.js';
import { controlNames, type AttributeKind, type AttributeNames, type FamilyNames } from './schema.js';

const unnamed: FamilyNames = { commands: {}, attributes: {} };

/**
 * Describes the messages of a generic netlink socket. It learns the ids of families from answers of the controller, and
 * the attribute of an error from the request, so it must see all messages of the socket.
 */
export class MessageDescriber {
  readonly #names: Readonly<Record<string, FamilyNames>>;
  /** Family names by id. */
  readonly #families = new Map<number, string>([[GENL_ID_CTRL, 'nlctrl']]);
  /** The last request. */
  #request: NetlinkMessage | undefined;

  /** @param names the names of messages, by family name */
  constructor(names: Readonly<Record<string, FamilyNames>> = {}) {
    this.#names = { nlctrl: controlNames, ...names };
  }

  /** Every message of a datagram: a line for its header, a line for each attribute, and its bytes. Never throws. */
  describe(datagram: Uint8Array): string[] {
    let messages: NetlinkMessage[];
    try {
      messages = decodeMessages(datagram);
    } catch (error) {
      return [`${datagram.length} bytes that are not a netlink message: ${reasonOf(error)}`, ...dumpBytes(datagram)];
    }
    return messages.flatMap((message) => {
      const bytes = encodeMessage(message);
      const [first = '', ...rest] = this.#describeMessage(message);
      const { seq, port, flags } = message;
      const head = `${first} seq ${seq} port ${port} flags ${flagWords(message.type, flags)} length ${bytes.length}`;
      return [head, ...rest.map((line) => `  ${line}`), ...dumpBytes(bytes)];
    });
  }

  #describeMessage(message: NetlinkMessage): string[] {
    try {
      if (message.type < NLMSG_MIN_TYPE) return this.#describeControl(message);
      if ((message.flags & NLM_F_REQUEST) !== 0) this.#request = message;
      return this.#describeGenl(message);
    } catch (error) {
      return [`message of type ${message.type}`, `cannot parse it: ${reasonOf(error)}`];
    }
  }

  #describeGenl(message: NetlinkMessage): string[] {
    const family = this.#familyName(message.type);
    const { commands, attributes: names } = this.#names[family] ?? unnamed;
    const { command, version, attributes } = decodeGenl(message);
    if (message.type === GENL_ID_CTRL) this.#learn(attributes);
    const head = `${family} ${commands[command] ?? `command ${command}`} version ${version}`;
    return [head, ...describeAttributes(attributes, names)];
  }

  #familyName(type: number): string {
    return this.#families.get(type) ?? `family ${type}`;
  }

  #describeControl(message: NetlinkMessage): string[] {
    switch (message.type) {
      case NLMSG_ERROR: {
        const { errno, extended } = decodeError(message);
        const head = errno === 0 ? 'ACK' : `ERROR ${-errno} ${errnoName(errno)}`;
        return [head, ...this.#describeExtended(message, extended)];
      }
      case NLMSG_DONE: {
        const { errno, extended } = decodeDone(message);
        const head = errno === 0 ? 'DONE' : `DONE ${-errno} ${errnoName(errno)}`;
        return [head, ...this.#describeExtended(message, extended)];
      }
      case NLMSG_NOOP:
        return ['NOOP'];
      case NLMSG_OVERRUN:
        return ['OVERRUN'];
      default:
        return [`control message ${message.type}`];
    }
  }

  #describeExtended({ seq }: NetlinkMessage, extended: ExtendedAck): string[] {
    const { kernelMessage, offset, policy, missingType, missingNest } = extended;
    const request = this.#request?.seq === seq ? this.#request : undefined;
    const names = request && this.#names[this.#familyName(request.type)]?.attributes;
    const called = (type: number | undefined): string => {
      const name = type === undefined ? undefined : names?.[type]?.[0];
      return name === undefined ? '' : ` ${name}`;
    };
    const refused =
      offset === undefined ? undefined : request && findAttribute(request.payload, offset - messageHeaderLength);
    return [
      ...(kernelMessage === undefined ? [] : [`MSG ${JSON.stringify(kernelMessage)}`]),
      ...(offset === undefined ? [] : [`OFFS ${offset}${called(refused?.type)}`]),
      ...(policy === undefined ? [] : [`POLICY ${describePolicy(policy)}`]),
      ...(missingType === undefined ? [] : [`MISS_TYPE ${missingType}${called(missingType)}`]),
      ...(missingNest === undefined ? [] : [`MISS_NEST ${missingNest}`]),
    ];
  }

  #learn(attributes: AttributeList): void {
    const id = attributes.u16(CTRL_ATTR_FAMILY_ID);
    const name = attributes.string(CTRL_ATTR_FAMILY_NAME);
    if (id !== undefined && name !== undefined) this.#families.set(id, name);
  }
}

/** The kind of an attribute and its limits, by name: `u16 min 68 max 65535`. */
function describePolicy(bytes: Uint8Array): string {
  let policy: AttributePolicy;
  try {
    policy = decodeAttributePolicy(AttributeList.parse(bytes));
  } catch (error) {
    return `${hex(bytes)} (${reasonOf(error)})`;
  }
  const { kind, ...limits } = policy;
  return [kind, ...Object.entries(limits).map(([name, value]) => `${name} ${value}`)].join(' ');
}

function describeAttributes(attributes: Iterable<Attribute>, names: AttributeNames): string[] {
  return Array.from(attributes).flatMap((attribute) => {
    const [name, kind] = names[attribute.type] ?? [`attribute ${attribute.type}`, 'bytes'];
    try {
      return describeValue(name, kind, attribute);
    } catch (error) {
      return [`${name} ${hex(attribute.payload)} (${reasonOf(error)})`];
    }
  });
}

function describeValue(name: string, kind: AttributeKind, attribute: Attribute): string[] {
  const { payload } = attribute;
  if (typeof kind === 'object') {
    const inner = AttributeList.parse(payload);
    const lines =
      'nested' in kind
        ? describeAttributes(inner, kind.nested)
        : Array.from(inner).flatMap((item) => [
            `${item.type}:`,
            ...describeAttributes(AttributeList.parse(item.payload), kind.list).map((line) => `  ${line}`),
          ]);
    return [name, ...lines.map((line) => `  ${line}`)];
  }
  if (kind === 'bytes') return [`${name} ${hex(payload)}`];
  const value = scalarValue(kind, attribute);
  return [`${name} ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`];
}

function flagWords(type: number, flags: number): string {
  const isAnswer = type === NLMSG_ERROR || type === NLMSG_DONE;
  const names: readonly (readonly [number, string])[] = [
    [NLM_F_REQUEST, 'REQUEST'],
    [NLM_F_MULTI, 'MULTI'],
    [NLM_F_ACK, 'ACK'],
    [NLM_F_DUMP_INTR, 'DUMP_INTR'],
    ...(isAnswer
      ? ([
          [NLM_F_CAPPED, 'CAPPED'],
          [NLM_F_ACK_TLVS, 'ACK_TLVS'],
        ] as const)
      : ([[NLM_F_DUMP, 'DUMP']] as const)),
  ];
  const words: string[] = [];
  let left = flags;
  for (const [bits, name] of names) {
    if ((left & bits) !== bits) continue;
    words.push(name);
    left &= ~bits;
  }
  if (left !== 0 || words.length === 0) words.push(`0x${left.toString(16)}`);
  return words.join('|');
}

/** Sixteen bytes per line, with their offset. */
function dumpBytes(bytes: Uint8Array): string[] {
  return Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) => {
    const at = line * 16;
    return `  ${at.toString(16).padStart(4, '0')}  ${hex(bytes.subarray(at, at + 16))}`;
  });
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function reasonOf(error: unknown): string {
  if (error instanceof NetlinkProtocolError) return error.message;
  throw error;
}
