/**
 * The handshake of a client: fixed newstyle, or newstyle with a server that is not fixed. It is a generator of steps
 * over bytes; the caller carries them out, on a socket or in a test. What a server sends is bounded in length and in
 * number; the caller bounds the time.
 */
import { NbdProtocolError, NbdRefusedError } from './error.js';
import * as nbd from './protocol.js';

/** A step of the handshake. The result of `receive` is so many bytes, exactly; the others have none. */
export type HandshakeStep =
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  | { readonly type: 'receive'; readonly length: number }
  /** The server is ready for TLS: the bytes of the following steps are encrypted. */
  | { readonly type: 'start-tls' };

/** An export, as the server describes it. */
export interface NbdExport {
  /** Bytes. */
  readonly size: number;
  /** Transmission flags: FLAG_ of protocol.ts. */
  readonly flags: number;
  /** The unit of all requests, in bytes; a power of two. */
  readonly minimumBlock: number;
  /** The unit of efficient requests, in bytes; a power of two. */
  readonly preferredBlock: number;
  /** The longest read or write, in bytes. */
  readonly maximumPayload: number;
  readonly replies: nbd.ReplyForm;
}

export type Handshake = Generator<HandshakeStep, NbdExport, Uint8Array>;
type Steps<Result> = Generator<HandshakeStep, Result, Uint8Array>;

/** The longest reply to an option: a string, and what describes it. */
const MAX_REPLY_LENGTH = 2 * nbd.MAX_STRING;
/** The most replies to an option. */
const MAX_REPLIES = 64;

/**
 * @param wanted the export, and whether the connection must be encrypted
 * @throws NbdProtocolError, NbdRefusedError
 */
export function* handshake(wanted: { readonly exportName: string; readonly tls: boolean }): Handshake {
  const name = Buffer.from(wanted.exportName);
  const flags = yield* greet();
  const isFixed = (flags & nbd.FLAG_FIXED_NEWSTYLE) !== 0;
  const noZeroes = (flags & nbd.FLAG_NO_ZEROES) !== 0;
  yield { type: 'send', bytes: u32(flags & (nbd.FLAG_FIXED_NEWSTYLE | nbd.FLAG_NO_ZEROES)) };
  if (!isFixed) {
    if (wanted.tls) throw new NbdRefusedError('The server does not support TLS');
    return yield* byName(name, noZeroes, 'simple');
  }
  if (wanted.tls) yield* startTls();
  const replies = yield* replyForm();
  return (yield* go(name, replies)) ?? (yield* byName(name, noZeroes, replies));
}

/** @returns the handshake flags of the server */
function* greet(): Steps<number> {
  const greeting = view(yield { type: 'receive', length: 16 });
  if (greeting.getBigUint64(0) !== nbd.MAGIC) throw new NbdProtocolError('This is not an NBD server');
  const style = greeting.getBigUint64(8);
  if (style === nbd.OLD_STYLE_MAGIC)
    throw new NbdRefusedError('The server speaks the old-style NBD protocol only, which has no export names');
  if (style !== nbd.OPTION_MAGIC) throw new NbdProtocolError('The server does not speak the newstyle NBD protocol');
  return view(yield { type: 'receive', length: 2 }).getUint16(0);
}

function* startTls(): Steps<void> {
  yield option(nbd.OPT_STARTTLS);
  const reply = yield* optionReply(nbd.OPT_STARTTLS);
  if (isError(reply)) throw refusal('TLS', reply);
  if (reply.type !== nbd.REP_ACK) throw unexpected(reply);
  yield { type: 'start-tls' };
}

function* replyForm(): Steps<nbd.ReplyForm> {
  if (yield* accepts(nbd.OPT_EXTENDED_HEADERS)) return 'extended';
  return (yield* accepts(nbd.OPT_STRUCTURED_REPLY)) ? 'structured' : 'simple';
}

/** Asks for an option that the server may not know, or may refuse for now. */
function* accepts(code: number): Steps<boolean> {
  yield option(code);
  const reply = yield* optionReply(code);
  // A server that requires TLS says so again when it is asked for the export.
  if (isError(reply)) return false;
  if (reply.type !== nbd.REP_ACK) throw unexpected(reply);
  return true;
}

/** @returns undefined if the server does not know this option */
function* go(name: Uint8Array, replies: nbd.ReplyForm): Steps<NbdExport | undefined> {
  // The length of the name, the name, the number of information requests, and these.
  const data = Buffer.concat([u32(name.length), name, u16(1), u16(nbd.INFO_BLOCK_SIZE)]);
  yield option(nbd.OPT_GO, data);
  let described: Pick<NbdExport, 'size' | 'flags'> | undefined;
  let blocks = defaultBlocks;
  for (let count = 0; count < MAX_REPLIES; count++) {
    const reply = yield* optionReply(nbd.OPT_GO);
    if (reply.type === nbd.REP_ERR_UNSUP) return undefined;
    if (isError(reply)) throw refusal('the export', reply);
    if (reply.type === nbd.REP_ACK) {
      if (!described) throw new NbdProtocolError('The server does not say how large the export is');
      return checkExport({ ...described, ...blocks, replies });
    }
    if (reply.type !== nbd.REP_INFO || reply.data.length < 2) throw unexpected(reply);
    const info = view(reply.data);
    const kind = info.getUint16(0);
    if (kind === nbd.INFO_EXPORT) {
      if (info.byteLength !== 12) throw unexpected(reply);
      described = { size: sizeOf(info.getBigUint64(2)), flags: info.getUint16(10) };
    } else if (kind === nbd.INFO_BLOCK_SIZE) {
      if (info.byteLength !== 14) throw unexpected(reply);
      blocks = {
        minimumBlock: info.getUint32(2),
        preferredBlock: info.getUint32(6),
        maximumPayload: info.getUint32(10),
      };
    }
  }
  throw new NbdProtocolError(`The server sends more than ${MAX_REPLIES} replies to one option`);
}

/** The option that all servers know. The answer to a name that does not exist is the end of the connection. */
function* byName(name: Uint8Array, noZeroes: boolean, replies: nbd.ReplyForm): Handshake {
  yield option(nbd.OPT_EXPORT_NAME, name);
  const answer = view(yield { type: 'receive', length: 10 });
  if (!noZeroes) yield { type: 'receive', length: 124 };
  return checkExport({ size: sizeOf(answer.getBigUint64(0)), flags: answer.getUint16(8), ...defaultBlocks, replies });
}

const defaultBlocks = {
  minimumBlock: nbd.DEFAULT_MINIMUM_BLOCK,
  preferredBlock: nbd.DEFAULT_PREFERRED_BLOCK,
  maximumPayload: nbd.DEFAULT_MAXIMUM_PAYLOAD,
};

function sizeOf(size: bigint): number {
  if (size <= 2n ** 52n) return Number(size);
  throw new NbdProtocolError(`The export has ${size} bytes, more than a disk can have`);
}

function checkExport(described: NbdExport): NbdExport {
  const { minimumBlock, preferredBlock, maximumPayload } = described;
  const isPower = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));
  if (
    !isPower(minimumBlock) ||
    minimumBlock > nbd.MAX_MINIMUM_BLOCK ||
    !isPower(preferredBlock) ||
    preferredBlock < minimumBlock ||
    maximumPayload < preferredBlock
  ) {
    throw new NbdProtocolError(
      `The server gives impossible block sizes: minimum ${minimumBlock}, preferred ${preferredBlock}, maximum ${maximumPayload}`,
    );
  }
  return described;
}

interface OptionReply {
  readonly type: number;
  readonly data: Uint8Array;
}

function* optionReply(code: number): Steps<OptionReply> {
  const header = view(yield { type: 'receive', length: 20 });
  if (header.getBigUint64(0) !== nbd.OPTION_REPLY_MAGIC)
    throw new NbdProtocolError('A reply to an option has the wrong magic number');
  if (header.getUint32(8) !== code) {
    throw new NbdProtocolError(`The server answers option ${header.getUint32(8)}; it was asked for ${code}`);
  }
  const length = header.getUint32(16);
  if (length > MAX_REPLY_LENGTH)
    throw new NbdProtocolError(`A reply to an option has ${length} bytes, more than ${MAX_REPLY_LENGTH}`);
  const data = length === 0 ? new Uint8Array(0) : yield { type: 'receive', length };
  return { type: header.getUint32(12), data };
}

const isError = ({ type }: OptionReply): boolean => type >= nbd.REP_ERROR_BIT;

const reasons: ReadonlyMap<number, string> = new Map([
  [nbd.REP_ERR_UNSUP, 'it is not supported'],
  [nbd.REP_ERR_POLICY, 'its configuration forbids it'],
  [nbd.REP_ERR_INVALID, 'it takes the request for invalid'],
  [nbd.REP_ERR_PLATFORM, 'its platform does not support it'],
  [nbd.REP_ERR_TLS_REQD, 'it requires TLS: write nbds:// or nbds+unix://'],
  [nbd.REP_ERR_UNKNOWN, 'it has no export of that name'],
  [nbd.REP_ERR_SHUTDOWN, 'it is shutting down'],
  [nbd.REP_ERR_BLOCK_SIZE_REQD, 'it requires block sizes'],
  [nbd.REP_ERR_TOO_BIG, 'it takes the request for too large'],
]);

/** The text of a server is shown as one short line. */
function refusal(what: string, { type, data }: OptionReply): NbdRefusedError {
  const reason = reasons.get(type) ?? `error 0x${type.toString(16)}`;
  const own = Buffer.from(data)
    .toString('utf8')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
    .trim()
    .slice(0, 200);
  return new NbdRefusedError(`The server refuses ${what}: ${reason}${own === '' ? '' : ` ("${own}")`}`);
}

const unexpected = ({ type, data }: OptionReply): NbdProtocolError =>
  new NbdProtocolError(`Unexpected reply to an option: type ${type}, ${data.length} bytes`);

function option(code: number, data: Uint8Array = new Uint8Array(0)): HandshakeStep {
  const header = new Uint8Array(16);
  view(header).setBigUint64(0, nbd.OPTION_MAGIC);
  view(header).setUint32(8, code);
  view(header).setUint32(12, data.length);
  return { type: 'send', bytes: Buffer.concat([header, data]) };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(0, value);
  return bytes;
}

function u16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  view(bytes).setUint16(0, value);
  return bytes;
}
