import { align, littleEndian, viewOf } from './bytes.js';
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_TYPE_MASK } from './constants.js';
import { NetlinkProtocolError } from './error.js';
import { decodeText, encodeText } from './text.js';

/** Length of `struct nlattr`, in bytes. */
const headerLength = 4;
/** The longest payload: nla_len is 16 bits wide and counts the header. */
const maxPayloadLength = 0xffff - headerLength;

/** One attribute: `struct nlattr` of linux/netlink.h and its payload. */
export interface Attribute {
  /** The family's number for it, without the two flags. */
  readonly type: number;
  /** NLA_F_NESTED: the payload is said to be attributes. Kernels do not set it everywhere. */
  readonly nested: boolean;
  /** NLA_F_NET_BYTEORDER: the payload is in network byte order. */
  readonly netByteOrder: boolean;
  /** The payload without padding; a view into the datagram. */
  readonly payload: Uint8Array;
}

/**
 * The attributes of a message or a nest, in the kernel's order, unknown ones kept.
 *
 * `parse` checks every length in one pass; values are decoded when asked for. Where a type occurs more than once the
 * readers by type give the last one, as the kernel's own parser does. A missing attribute reads as undefined.
 */
export class AttributeList implements Iterable<Attribute> {
  readonly #view: DataView;
  /** Where each attribute starts in the view. */
  readonly #starts: readonly number[];

  private constructor(view: DataView, starts: readonly number[]) {
    this.#view = view;
    this.#starts = starts;
  }

  /**
   * Reads `bytes` as attributes, without copying them.
   * @throws NetlinkProtocolError where an attribute is shorter than its header, reaches past the end, or stray bytes follow.
   */
  static parse(bytes: Uint8Array): AttributeList {
    const view = viewOf(bytes);
    return new AttributeList(view, indexAttributes(view, 0, bytes.length));
  }

  /** How many attributes there are. */
  get length(): number {
    return this.#starts.length;
  }

  *[Symbol.iterator](): IterableIterator<Attribute> {
    for (const start of this.#starts) yield this.#attribute(start);
  }

  /** The last attribute of this type. */
  get(type: number): Attribute | undefined {
    const start = this.#find(type);
    return start === undefined ? undefined : this.#attribute(start);
  }

  /** Every attribute of this type, in order. */
  all(type: number): Attribute[] {
    return this.#starts.filter((start) => this.#typeAt(start) === type).map((start) => this.#attribute(start));
  }

  /** Whether an attribute of this type is there: all there is to a flag (NLA_FLAG). */
  has(type: number): boolean {
    return this.#find(type) !== undefined;
  }

  /** @throws NetlinkProtocolError where the payload is not 1 byte long. */
  u8(type: number): number | undefined {
    const at = this.#findNumber(type, 1);
    return at === undefined ? undefined : this.#view.getUint8(at);
  }

  /** @throws NetlinkProtocolError where the payload is not 2 bytes long. */
  u16(type: number): number | undefined {
    const at = this.#findNumber(type, 2);
    return at === undefined ? undefined : this.#view.getUint16(at, littleEndian);
  }

  /** @throws NetlinkProtocolError where the payload is not 4 bytes long. */
  u32(type: number): number | undefined {
    const at = this.#findNumber(type, 4);
    return at === undefined ? undefined : this.#view.getUint32(at, littleEndian);
  }

  /** @throws NetlinkProtocolError where the payload is not 8 bytes long. */
  u64(type: number): bigint | undefined {
    const at = this.#findNumber(type, 8);
    return at === undefined ? undefined : this.#view.getBigUint64(at, littleEndian);
  }

  /** Signed 64 bits. @throws NetlinkProtocolError where the payload is not 8 bytes long. */
  s64(type: number): bigint | undefined {
    const at = this.#findNumber(type, 8);
    return at === undefined ? undefined : this.#view.getBigInt64(at, littleEndian);
  }

  /** Text up to its first NUL or, as some families send it without one (NLA_STRING), to its end. Decoded by {@link decodeText}. */
  string(type: number): string | undefined {
    const payload = this.bytes(type);
    if (payload === undefined) return undefined;
    const nul = payload.indexOf(0);
    return decodeText(nul === -1 ? payload : payload.subarray(0, nul));
  }

  /** The payload, without a copy. */
  bytes(type: number): Uint8Array | undefined {
    const start = this.#find(type);
    return start === undefined ? undefined : this.#payload(start);
  }

  /**
   * The attributes inside this one, whether or not the kernel set NLA_F_NESTED.
   * @throws NetlinkProtocolError where the payload is not made of attributes.
   */
  nested(type: number): AttributeList | undefined {
    const start = this.#find(type);
    if (start === undefined) return undefined;
    const end = start + this.#lengthAt(start);
    return new AttributeList(this.#view, indexAttributes(this.#view, start + headerLength, end));
  }

  #find(type: number): number | undefined {
    for (let index = this.#starts.length - 1; index >= 0; index--) {
      const start = this.#starts[index];
      if (start !== undefined && this.#typeAt(start) === type) return start;
    }
    return undefined;
  }

  /** Where the payload of a number of `width` bytes starts. */
  #findNumber(type: number, width: number): number | undefined {
    const start = this.#find(type);
    if (start === undefined) return undefined;
    const length = this.#lengthAt(start) - headerLength;
    if (length !== width) {
      throw new NetlinkProtocolError(`netlink attribute ${type} has ${length} bytes where a number of ${width} is due`);
    }
    return start + headerLength;
  }

  #typeAt(start: number): number {
    return this.#view.getUint16(start + 2, littleEndian) & NLA_TYPE_MASK;
  }

  #lengthAt(start: number): number {
    return this.#view.getUint16(start, littleEndian);
  }

  #payload(start: number): Uint8Array {
    const { buffer, byteOffset } = this.#view;
    return new Uint8Array(buffer, byteOffset + start + headerLength, this.#lengthAt(start) - headerLength);
  }

  #attribute(start: number): Attribute {
    const type = this.#view.getUint16(start + 2, littleEndian);
    return {
      type: type & NLA_TYPE_MASK,
      nested: (type & NLA_F_NESTED) !== 0,
      netByteOrder: (type & NLA_F_NET_BYTEORDER) !== 0,
      payload: this.#payload(start),
    };
  }
}

/** Checks the attributes between `from` and `to` and says where each one starts. */
function indexAttributes(view: DataView, from: number, to: number): number[] {
  const starts: number[] = [];
  let at = from;
  while (at < to) {
    const left = to - at;
    if (left < headerLength) {
      throw new NetlinkProtocolError(
        `netlink attributes end with ${left} stray bytes, too few for an attribute header`,
      );
    }
    const length = view.getUint16(at, littleEndian);
    if (length < headerLength) {
      throw new NetlinkProtocolError(
        `netlink attribute at byte ${at} says its length is ${length}, less than its header`,
      );
    }
    if (length > left) {
      throw new NetlinkProtocolError(
        `netlink attribute at byte ${at} reaches past the end: its length is ${length}, but only ${left} bytes are there`,
      );
    }
    starts.push(at);
    at += align(length);
  }
  return starts;
}

/** Writes attributes one after another, each padded to 4 bytes. Numbers out of their width's range throw RangeError. */
export class AttributeWriter {
  #bytes = new Uint8Array(256);
  #view = viewOf(this.#bytes);
  #length = 0;

  u8(type: number, value: number): this {
    checkRange(type, value, 8);
    const at = this.#start(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(type: number, value: number): this {
    checkRange(type, value, 16);
    const at = this.#start(type, 2);
    this.#view.setUint16(at, value, littleEndian);
    return this;
  }

  u32(type: number, value: number): this {
    checkRange(type, value, 32);
    const at = this.#start(type, 4);
    this.#view.setUint32(at, value, littleEndian);
    return this;
  }

  u64(type: number, value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn)
      throw new RangeError(`attribute ${type}: ${value} does not fit 64 bits`);
    const at = this.#start(type, 8);
    this.#view.setBigUint64(at, value, littleEndian);
    return this;
  }

  /**
   * Text, encoded by {@link encodeText} and ended by a NUL unless `nul` is false.
   * @throws RangeError where the text holds a NUL itself: the kernel would read only what is before it.
   */
  string(type: number, text: string, { nul = true }: { nul?: boolean } = {}): this {
    if (text.includes('\0')) throw new RangeError(`attribute ${type}: text holds a NUL character`);
    const bytes = encodeText(text);
    const at = this.#start(type, bytes.length + (nul ? 1 : 0));
    this.#bytes.set(bytes, at);
    return this;
  }

  bytes(type: number, payload: Uint8Array): this {
    const at = this.#start(type, payload.length);
    this.#bytes.set(payload, at);
    return this;
  }

  /** An attribute without payload (NLA_FLAG): its being there is its value. */
  flag(type: number): this {
    this.#start(type, 0);
    return this;
  }

  /** A nest, flagged NLA_F_NESTED, holding what `write` writes. */
  nested(type: number, write: (writer: AttributeWriter) => void): this {
    const inner = new AttributeWriter();
    write(inner);
    return this.bytes(type | NLA_F_NESTED, inner.finish());
  }

  /** What was written so far. The writer may go on. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Writes a header, makes room for the payload, and says where it starts. */
  #start(type: number, payloadLength: number): number {
    if (!Number.isInteger(type) || type < 0 || type > 0xffff) throw new RangeError(`${type} is no attribute type`);
    if (payloadLength > maxPayloadLength) {
      throw new RangeError(
        `attribute ${type & NLA_TYPE_MASK}: ${payloadLength} bytes are more than an attribute can hold`,
      );
    }
    const start = this.#length;
    this.#length += headerLength + align(payloadLength);
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = viewOf(grown);
    }
    this.#view.setUint16(start, headerLength + payloadLength, littleEndian);
    this.#view.setUint16(start + 2, type, littleEndian);
    return start + headerLength;
  }
}

function checkRange(type: number, value: number, bits: 8 | 16 | 32): void {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`attribute ${type & NLA_TYPE_MASK}: ${value} does not fit ${bits} bits`);
  }
}
