import { align, littleEndian, viewOf } from '../../netlink/bytes.js';
import { NLA_F_NESTED } from '../../netlink/constants.js';
import { messageHeaderLength } from '../../netlink/message.js';
import { encodeText } from '../../netlink/text-encoding.js';

/** Length of `struct nlattr`, in bytes. */
const attributeHeaderLength = 4;

/** The rest of the buffer is too small: EMSGSIZE inside the kernel. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

/**
 * A datagram that the simulated kernel fills: the kernel's `struct sk_buff` of a fixed size, with the helpers of
 * include/net/netlink.h. Whatever does not fit throws {@link NoRoomError} and leaves the buffer unchanged.
 */
export class MessageBuffer {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #length = 0;

  /** @param size in bytes (the tailroom of an empty skb). */
  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
    this.#view = viewOf(this.#bytes);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written; the buffer must no longer be written to. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Writes a message: its header, the bytes of `fixed`, and what `write` adds. If `write` throws, the message is
   * removed.
   */
  message(
    header: { readonly type: number; readonly flags: number; readonly seq: number; readonly port: number },
    fixed: Uint8Array,
    write?: (buffer: MessageBuffer) => void,
  ): void {
    const start = this.#grow(messageHeaderLength + fixed.length);
    this.#view.setUint16(start + 4, header.type, littleEndian);
    this.#view.setUint16(start + 6, header.flags, littleEndian);
    this.#view.setUint32(start + 8, header.seq, littleEndian);
    this.#view.setUint32(start + 12, header.port, littleEndian);
    this.#bytes.set(fixed, start + messageHeaderLength);
    let length = messageHeaderLength + fixed.length;
    if (write !== undefined) {
      this.#orTrim(start, write);
      length = this.#length - start;
    }
    this.#view.setUint32(start, length, littleEndian);
  }

  u8(type: number, value: number): void {
    this.#view.setUint8(this.#attribute(type, 1), value);
  }

  u16(type: number, value: number): void {
    this.#view.setUint16(this.#attribute(type, 2), value, littleEndian);
  }

  u32(type: number, value: number): void {
    this.#view.setUint32(this.#attribute(type, 4), value, littleEndian);
  }

  u64(type: number, value: bigint): void {
    this.#view.setBigUint64(this.#attribute(type, 8), value, littleEndian);
  }

  bytes(type: number, payload: Uint8Array): void {
    this.#bytes.set(payload, this.#attribute(type, payload.length));
  }

  /** Text and the NUL after it. */
  string(type: number, text: string): void {
    // Only ASCII has one byte per code unit.
    if (Buffer.byteLength(text) === text.length) {
      this.#bytes.write(text, this.#attribute(type, text.length + 1), 'latin1');
      return;
    }
    const bytes = encodeText(text);
    this.#bytes.set(bytes, this.#attribute(type, bytes.length + 1));
  }

  /** A nest with NLA_F_NESTED and the attributes that `write` adds; if that throws, the nest is removed. */
  nested(type: number, write: () => void): void {
    this.unflaggedNest(type | NLA_F_NESTED, write);
  }

  /** A nest without NLA_F_NESTED, as in old families. */
  unflaggedNest(type: number, write: () => void): void {
    const start = this.#attribute(type, 0) - attributeHeaderLength;
    this.#orTrim(start, write);
    this.#view.setUint16(start, this.#length - start, littleEndian);
  }

  /** Writes an attribute's header and padding, and returns where its payload starts. */
  #attribute(type: number, length: number): number {
    const start = this.#length;
    // Not with #grow() and align(): V8 would compile these, which rarely pays off.
    const end = start + ((attributeHeaderLength + length + 3) & ~3);
    if (end > this.#bytes.length) throw noRoom();
    this.#length = end;
    this.#view.setUint16(start, attributeHeaderLength + length, littleEndian);
    this.#view.setUint16(start + 2, type, littleEndian);
    return start + attributeHeaderLength;
  }

  /** Extends the buffer by `length` zero bytes, padded to 4, and returns where they start. */
  #grow(length: number): number {
    const start = this.#length;
    const end = start + align(length);
    if (end > this.#bytes.length) throw noRoom();
    this.#length = end;
    return start;
  }

  #orTrim(start: number, write: (buffer: MessageBuffer) => void): void {
    try {
      write(this);
    } catch (error) {
      this.#trim(start);
      throw error;
    }
  }

  #trim(start: number): void {
    // Everything not written yet is zero, including padding.
    this.#bytes.fill(0, start, this.#length);
    this.#length = start;
  }
}

function noRoom(): NoRoomError {
  return new NoRoomError('no room in the datagram');
}
