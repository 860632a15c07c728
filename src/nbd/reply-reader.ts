import { NbdProtocolError } from './error.js';
import * as nbd from './protocol.js';

/** What follows in a reply. */
export type ReplyKind =
  /** A simple reply: without an error, the data of a read follows. */
  | 'simple'
  /** `length` bytes of data for `position` follow. */
  | 'data'
  /** `length` zeros at `position`. */
  | 'hole'
  /** An error, or nothing. `skip` bytes follow that do not matter. */
  | 'end';

/** The longest chunk that is not data, in bytes: an error with its text. */
const MAX_OTHER = nbd.MAX_STRING + 64;

/** Parses the headers of replies. Its fields are those of the last one, valid until the next. */
export class ReplyReader {
  readonly #form: nbd.ReplyForm;
  kind: ReplyKind = 'end';
  cookieHigh = 0;
  cookieLow = 0;
  /** Whether it is the last chunk for its request. */
  isDone = false;
  /** 0, or an error number as Linux has it. */
  error = 0;
  position = 0;
  length = 0;
  skip = 0;

  constructor(form: nbd.ReplyForm) {
    this.#form = form;
  }

  /**
   * Parses the header at `at`, with what belongs to it of a chunk.
   * @returns its length in bytes; 0 if more bytes are needed than the `available` ones, never more than 64
   * @throws NbdProtocolError
   */
  read(view: DataView, at: number, available: number): number {
    if (available < 4) return 0;
    switch (view.getUint32(at)) {
      case nbd.SIMPLE_REPLY_MAGIC:
        if (this.#form === 'extended') break;
        return available < 16 ? 0 : this.#simple(view, at);
      case nbd.STRUCTURED_REPLY_MAGIC:
        if (this.#form !== 'structured') break;
        return available < 20 ? 0 : this.#chunk(view, at, 20, view.getUint32(at + 16), available);
      case nbd.EXTENDED_REPLY_MAGIC: {
        if (this.#form !== 'extended') break;
        return available < 32 ? 0 : this.#chunk(view, at, 32, readU64(view, at + 24), available);
      }
    }
    throw new NbdProtocolError('A reply has the wrong magic number');
  }

  #simple(view: DataView, at: number): number {
    this.kind = 'simple';
    this.error = view.getUint32(at + 4);
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.isDone = true;
    this.skip = 0;
    return 16;
  }

  #chunk(view: DataView, at: number, header: number, length: number, available: number): number {
    const type = view.getUint16(at + 6);
    this.isDone = (view.getUint16(at + 4) & nbd.REPLY_FLAG_DONE) !== 0;
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.error = 0;
    this.skip = 0;
    const payload = at + header;
    switch (type) {
      case nbd.REPLY_TYPE_NONE:
        if (length !== 0 || !this.isDone) throw badChunk(type, length);
        this.kind = 'end';
        return header;
      case nbd.REPLY_TYPE_OFFSET_DATA:
        if (length <= 8) throw badChunk(type, length);
        if (available < header + 8) return 0;
        this.kind = 'data';
        this.position = readU64(view, payload);
        this.length = length - 8;
        return header + 8;
      case nbd.REPLY_TYPE_OFFSET_HOLE:
        if (length !== 12) throw badChunk(type, length);
        if (available < header + 12) return 0;
        this.kind = 'hole';
        this.position = readU64(view, payload);
        this.length = view.getUint32(payload + 8);
        return header + 12;
      default:
        // The client understands no other type that is not an error.
        if ((type & nbd.REPLY_TYPE_ERROR_BIT) === 0 || length < 6 || length > MAX_OTHER) throw badChunk(type, length);
        if (available < header + 4) return 0;
        this.kind = 'end';
        this.error = view.getUint32(payload);
        if (this.error === 0) throw badChunk(type, length);
        this.skip = length - 4;
        return header + 4;
    }
  }
}

const badChunk = (type: number, length: number): NbdProtocolError =>
  new NbdProtocolError(`A reply has a chunk of type ${type} with ${length} bytes`);

/** A number up to 2^53. @throws NbdProtocolError for a larger one */
function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at);
  if (high >= 2 ** 21) throw new NbdProtocolError('A reply has a number beyond the end of any export');
  return high * 0x1_0000_0000 + view.getUint32(at + 4);
}
