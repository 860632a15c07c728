import {
  align,
  high,
  low,
  readUint16,
  readUint32,
  readUint64,
  writeUint16,
  writeUint32,
  writeUint64,
} from './bytes.js';
import { ArgumentError } from '../sys/error.js';
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_TYPE_MASK } from './constants.js';
import { NetlinkProtocolError } from './error.js';
import { allocate } from './buffer-pool.js';
import { decodeTextToNul, encodeText } from './text-encoding.js';

/** Length of `struct nlattr`, in bytes. */
const headerLength = 4;
/** The longest payload: nla_len is 16 bits wide and counts the header. */
const maxPayloadLength = 0xffff - headerLength;

/** One attribute: `struct nlattr` of linux/netlink.h and its payload. */
export interface Attribute {
  /** The family's number for it, without the two flags. */
  readonly type: number;
  /** NLA_F_NESTED: the payload consists of attributes. Kernels do not always set it. */
  readonly nested: boolean;
  /** NLA_F_NET_BYTEORDER: the payload is in network byte order. */
  readonly netByteOrder: boolean;
  /** The payload without padding; a view into the datagram. */
  readonly payload: Uint8Array;
}

/** The attribute that starts at `at`; undefined if none ends within the bytes. */
export function findAttribute(bytes: Uint8Array, at: number): Attribute | undefined {
  if (at < 0 || at + headerLength > bytes.length) return undefined;
  const length = readUint16(bytes, at);
  return length < headerLength || at + length > bytes.length ? undefined : attributeAt(bytes, at);
}

/**
 * The attributes of a message or a nest, in the kernel's order, including unknown ones.
 *
 * `parse` checks every length in one pass; values are decoded on demand, without copies. If a type occurs more than
 * once, the readers by type return the last one, like the kernel's own parser. A missing attribute reads as undefined.
 */
export class AttributeList implements Iterable<Attribute> {
  /** Number of attributes. */
  readonly length: number;
  // TypeScript's `private`: a list is created for every message, and creating #private members takes longer.
  private readonly buffer: Uint8Array;
  private readonly start: number;
  private readonly end: number;
  /** A bit mask of the last five bits of each type present. */
  private readonly types: number;
  /** No two attributes have the same type. */
  private readonly distinct: boolean;
  /** Where to search first: after the attribute found last, since most readers follow the kernel's order. */
  private next: number;

  private constructor(buffer: Uint8Array, start: number, end: number) {
    let count = 0;
    let types = 0;
    let distinct = true;
    let length: number;
    // readUint16() and align() are inlined here and in the search for types: they would be called so often that V8
    // began to compile them in a list of 100 devices, which takes longer than the list.
    for (let at = start; at < end; at += (length + 3) & ~3) {
      const left = end - at;
      length = left < headerLength ? 0 : (buffer[at + low] ?? 0) | ((buffer[at + high] ?? 0) << 8);
      if (length < headerLength || length > left) throw brokenAttribute(at, length, left);
      const bit = 1 << ((buffer[at + 2 + low] ?? 0) & 31);
      if ((types & bit) !== 0) distinct = false;
      types |= bit;
      count++;
    }
    this.length = count;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.types = types;
    this.distinct = distinct;
    this.next = start;
  }

  /**
   * Parses `bytes` from `start` on as attributes.
   * @throws NetlinkProtocolError if an attribute is shorter than its header or extends past the end, or stray bytes
   * follow.
   */
  static parse(bytes: Uint8Array, start = 0): AttributeList {
    return new AttributeList(bytes, start, bytes.length);
  }

  *[Symbol.iterator](): IterableIterator<Attribute> {
    for (let at = this.start; at < this.end; at = next(this.buffer, at)) yield attributeAt(this.buffer, at);
  }

  /** The last attribute of this type. */
  get(type: number): Attribute | undefined {
    const at = this.find(type);
    return at === absent ? undefined : attributeAt(this.buffer, at);
  }

  /** Every attribute of this type, in order. */
  all(type: number): Attribute[] {
    return Array.from(this).filter((attribute) => attribute.type === type);
  }

  /** Whether an attribute of this type is present: the value of a flag (NLA_FLAG). */
  has(type: number): boolean {
    return this.find(type) !== absent;
  }

  /** @throws NetlinkProtocolError if the payload is not 1 byte long. */
  u8(type: number): number | undefined {
    const at = this.findNumber(type, 1);
    return at === absent ? undefined : this.buffer[at];
  }

  /** @throws NetlinkProtocolError if the payload is not 2 bytes long. */
  u16(type: number): number | undefined {
    const at = this.findNumber(type, 2);
    return at === absent ? undefined : readUint16(this.buffer, at);
  }

  /** @throws NetlinkProtocolError if the payload is not 4 bytes long. */
  u32(type: number): number | undefined {
    const at = this.findNumber(type, 4);
    return at === absent ? undefined : readUint32(this.buffer, at);
  }

  /** @throws NetlinkProtocolError if the payload is not 8 bytes long. */
  u64(type: number): bigint | undefined {
    const at = this.findNumber(type, 8);
    return at === absent ? undefined : readUint64(this.buffer, at);
  }

  /** Signed 64 bits. @throws NetlinkProtocolError if the payload is not 8 bytes long. */
  s64(type: number): bigint | undefined {
    const value = this.u64(type);
    return value === undefined ? undefined : BigInt.asIntN(64, value);
  }

  /** Text up to its first NUL or, for families that omit it (NLA_STRING), to its end. See {@link decodeText}. */
  string(type: number): string | undefined {
    const at = this.find(type);
    if (at === absent) return undefined;
    return decodeTextToNul(this.buffer, at + headerLength, payloadEnd(this.buffer, at));
  }

  /** The payload. */
  bytes(type: number): Uint8Array | undefined {
    const at = this.find(type);
    return at === absent ? undefined : payloadAt(this.buffer, at);
  }

  /**
   * The nested attributes, whether or not the kernel set NLA_F_NESTED.
   * @throws NetlinkProtocolError if the payload does not consist of attributes.
   */
  nested(type: number): AttributeList | undefined {
    const at = this.find(type);
    if (at === absent) return undefined;
    return new AttributeList(this.buffer, at + headerLength, payloadEnd(this.buffer, at));
  }

  /** Where the last attribute of this type starts, or `absent`. */
  private find(type: number): number {
    if ((this.types & (1 << (type & 31))) === 0) return absent;
    const { buffer, end } = this;
    if (this.distinct) {
      const found = findFirst(buffer, this.next, end, type);
      const at = found === absent ? findFirst(buffer, this.start, this.next, type) : found;
      if (at !== absent) this.next = at + (((buffer[at + low] ?? 0) + ((buffer[at + high] ?? 0) << 8) + 3) & ~3);
      return at;
    }
    let found = absent;
    for (
      let at = findFirst(buffer, this.start, end, type);
      at !== absent;
      at = findFirst(buffer, next(buffer, at), end, type)
    ) {
      found = at;
    }
    return found;
  }

  /** Where the payload of a number of `width` bytes starts, or `absent`. */
  private findNumber(type: number, width: number): number {
    const at = this.find(type);
    if (at === absent) return absent;
    const { buffer } = this;
    const length = ((buffer[at + low] ?? 0) | ((buffer[at + high] ?? 0) << 8)) - headerLength;
    if (length !== width) {
      throw new NetlinkProtocolError(`netlink attribute ${type} has ${length} bytes, expected ${width}`);
    }
    return at + headerLength;
  }
}

/** Not a position in a buffer. */
const absent = -1;

/** Where the first attribute of a type between `start` and `end` starts; or `absent`. */
function findFirst(buffer: Uint8Array, start: number, end: number, type: number): number {
  for (let at = start; at < end; at += ((buffer[at + low] ?? 0) + ((buffer[at + high] ?? 0) << 8) + 3) & ~3) {
    if ((((buffer[at + 2 + low] ?? 0) | ((buffer[at + 2 + high] ?? 0) << 8)) & NLA_TYPE_MASK) === type) return at;
  }
  return absent;
}

/** Describes the error of the attribute at `at`, which has `left` bytes for its `length`. */
function brokenAttribute(at: number, length: number, left: number): NetlinkProtocolError {
  if (left < headerLength) {
    return new NetlinkProtocolError(`netlink attributes end with ${left} stray bytes, too few for an attribute header`);
  }
  const what = `netlink attribute at byte ${at}`;
  return new NetlinkProtocolError(
    length < headerLength
      ? `${what} has an invalid length of ${length}, less than its header`
      : `${what} reaches past the end: its length is ${length}, but only ${left} bytes are there`,
  );
}

/** Where the attribute after the one at `at` starts. */
function next(buffer: Uint8Array, at: number): number {
  return at + align(readUint16(buffer, at));
}

function payloadEnd(buffer: Uint8Array, at: number): number {
  return at + readUint16(buffer, at);
}

function payloadAt(buffer: Uint8Array, at: number): Uint8Array {
  return buffer.subarray(at + headerLength, payloadEnd(buffer, at));
}

function attributeAt(buffer: Uint8Array, at: number): Attribute {
  const type = readUint16(buffer, at + 2);
  return {
    type: type & NLA_TYPE_MASK,
    nested: (type & NLA_F_NESTED) !== 0,
    netByteOrder: (type & NLA_F_NET_BYTEORDER) !== 0,
    payload: payloadAt(buffer, at),
  };
}

/**
 * Writes attributes one after another, each padded to 4 bytes. Throws ArgumentError for numbers that do not fit their
 * width.
 */
export class AttributeWriter {
  // TypeScript's `private`: a writer is created for every request, and creating #private members takes longer.
  private buffer = allocate(256);
  private length = 0;

  u8(type: number, value: number): this {
    checkRange(type, value, 8);
    const at = this.begin(type, 1);
    this.buffer[at] = value;
    return this;
  }

  u16(type: number, value: number): this {
    checkRange(type, value, 16);
    const at = this.begin(type, 2);
    writeUint16(this.buffer, at, value);
    return this;
  }

  u32(type: number, value: number): this {
    checkRange(type, value, 32);
    const at = this.begin(type, 4);
    writeUint32(this.buffer, at, value);
    return this;
  }

  u64(type: number, value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn)
      throw new ArgumentError(`attribute ${type}: ${value} does not fit 64 bits`);
    const at = this.begin(type, 8);
    writeUint64(this.buffer, at, value);
    return this;
  }

  /**
   * Text, encoded by {@link encodeText} and terminated by a NUL unless `nul` is false.
   * @throws ArgumentError if the text contains a NUL: the kernel would read only the part before it.
   */
  string(type: number, text: string, { nul = true }: { nul?: boolean } = {}): this {
    if (text.includes('\0')) throw new ArgumentError(`attribute ${type}: text contains a NUL character`);
    const bytes = encodeText(text);
    const at = this.begin(type, bytes.length + (nul ? 1 : 0));
    this.buffer.set(bytes, at);
    return this;
  }

  bytes(type: number, payload: Uint8Array): this {
    const at = this.begin(type, payload.length);
    this.buffer.set(payload, at);
    return this;
  }

  /** An attribute without payload (NLA_FLAG): its presence is its value. */
  flag(type: number): this {
    this.begin(type, 0);
    return this;
  }

  /** A nest with the flag NLA_F_NESTED that contains what `write` writes. */
  nested(type: number, write: (writer: AttributeWriter) => void): this {
    const inner = new AttributeWriter();
    write(inner);
    return this.bytes(type | NLA_F_NESTED, inner.finish());
  }

  /** The attributes written so far. More may be written afterwards. */
  finish(): Uint8Array {
    // Later attributes are written after it.
    return this.buffer.subarray(0, this.length);
  }

  /** Writes a header, reserves space for the payload, and returns where it starts. */
  private begin(type: number, payloadLength: number): number {
    if (!Number.isInteger(type) || type < 0 || type > 0xffff) throw new ArgumentError(`invalid attribute type ${type}`);
    if (payloadLength > maxPayloadLength) {
      throw new ArgumentError(
        `attribute ${type & NLA_TYPE_MASK}: ${payloadLength} bytes are more than an attribute can hold`,
      );
    }
    const start = this.length;
    this.length += headerLength + align(payloadLength);
    if (this.length > this.buffer.length) {
      const grown = new Uint8Array(Math.max(this.length, 2 * this.buffer.length));
      grown.set(this.buffer);
      this.buffer = grown;
    }
    writeUint16(this.buffer, start, headerLength + payloadLength);
    writeUint16(this.buffer, start + 2, type);
    return start + headerLength;
  }
}

function checkRange(type: number, value: number, bits: 8 | 16 | 32): void {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new ArgumentError(`attribute ${type & NLA_TYPE_MASK}: ${value} does not fit ${bits} bits`);
  }
}
