/** An NBD server on memory, in this process. */
import * as nbd from '../../src/nbd/protocol.js';
import { blockInfo, bytes, chunk, exportInfo, extendedChunk, greeting, optionReply, simpleReply } from './nbd-bytes.js';
import { FakeServer, newPath, type FakeConnection, type FakeRequest, type ServerTls } from './nbd-server.js';

/** What an export is. */
export interface Exported {
  readonly size: number;
  /** Transmission flags. */
  readonly flags: number;
  readonly form: nbd.ReplyForm;
  /** The minimum, preferred and maximum sizes of blocks. */
  readonly blocks?: readonly [number, number, number];
  /** Required of clients. */
  readonly tls?: ServerTls;
}

/** All that a server can offer to more than one connection. */
export const ALL_FLAGS =
  nbd.FLAG_HAS_FLAGS |
  nbd.FLAG_SEND_FLUSH |
  nbd.FLAG_SEND_FUA |
  nbd.FLAG_SEND_TRIM |
  nbd.FLAG_SEND_WRITE_ZEROES |
  nbd.FLAG_CAN_MULTI_CONN;

/** Agrees to all that the client asks for, as far as the export has it. */
export async function negotiate(
  connection: FakeConnection,
  { size, flags, form, blocks, tls }: Exported,
): Promise<void> {
  connection.send(greeting());
  await connection.read(4);
  const forms = { simple: 0, structured: nbd.OPT_STRUCTURED_REPLY, extended: nbd.OPT_EXTENDED_HEADERS };
  for (let isSecure = tls === undefined; ;) {
    const option = await connection.option();
    if (tls && option === nbd.OPT_STARTTLS) {
      connection.send(optionReply(option, nbd.REP_ACK));
      connection.startTls(tls);
      isSecure = true;
    } else if (!isSecure) {
      connection.send(optionReply(option, nbd.REP_ERR_TLS_REQD));
    } else if (option === nbd.OPT_GO) {
      break;
    } else {
      connection.send(optionReply(option, option === forms[form] ? nbd.REP_ACK : nbd.REP_ERR_UNSUP));
    }
  }
  const info = blocks ? [blockInfo(...blocks)] : [];
  connection.send(Buffer.concat([exportInfo(size, flags), ...info, optionReply(nbd.OPT_GO, nbd.REP_ACK)]));
}

/** The answer to a request, with the data of a read. */
export function answer(form: nbd.ReplyForm, { cookie, position }: FakeRequest, data: Uint8Array): Buffer {
  if (form === 'simple') return simpleReply(cookie, 0, data);
  const make = form === 'extended' ? extendedChunk : chunk;
  if (data.length === 0) return make(cookie, nbd.REPLY_TYPE_NONE, true);
  return make(cookie, nbd.REPLY_TYPE_OFFSET_DATA, true, bytes([64, position], data));
}

/** What it stores outlives it: it may be killed, and begun again. */
export class MemoryServer {
  readonly content: Buffer;
  /** All that it was asked for. */
  readonly requests: FakeRequest[] = [];
  readonly #socket = newPath('socket');
  readonly #wait: (request: FakeRequest) => Promise<unknown>;
  #exported: Exported;
  #server: FakeServer | undefined;

  /** @param wait before a request is answered, and a write stored */
  constructor(exported: Partial<Exported>, wait: (request: FakeRequest) => Promise<unknown> = () => Promise.resolve()) {
    this.#exported = { size: 2 ** 22, flags: ALL_FLAGS, form: 'structured', ...exported };
    this.content = Buffer.alloc(this.#exported.size);
    this.#wait = wait;
  }

  get uri(): string {
    return `nbd+unix:///?socket=${this.#socket}`;
  }

  start(exported: Partial<Exported> = {}): void {
    this.#exported = { ...this.#exported, ...exported };
    this.#server = new FakeServer((connection) => this.#serve(connection), this.#socket);
  }

  endConnections(): void {
    this.#server?.endConnections();
  }

  kill(): void {
    this.#server?.close();
  }

  async #serve(connection: FakeConnection): Promise<void> {
    const { form } = this.#exported;
    await negotiate(connection, this.#exported);
    for (;;) {
      const request = await connection.request(form === 'extended');
      this.requests.push(request);
      if (request.command === nbd.CMD_DISC) return;
      const written = request.command === nbd.CMD_WRITE ? await connection.read(request.length) : undefined;
      void this.#carryOut(connection, request, written);
    }
  }

  async #carryOut(connection: FakeConnection, request: FakeRequest, written: Uint8Array | undefined): Promise<void> {
    await this.#wait(request);
    const { command, position, length } = request;
    const place = this.content.subarray(position, position + length);
    if (written) place.set(written);
    if (command === nbd.CMD_TRIM || command === nbd.CMD_WRITE_ZEROES) place.fill(0);
    const reply = answer(this.#exported.form, request, command === nbd.CMD_READ ? place : Buffer.alloc(0));
    // The client may be gone.
    if (!connection.isEnded) connection.send(reply);
  }
}
