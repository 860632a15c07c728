/** Connects to an export: a descriptor that speaks plain NBD, in the transmission phase. */
import { lookup } from 'node:dns/promises';
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { EPOLLIN, EPOLLOUT } from '../sys/events.js';
import { close } from '../sys/libc.js';
import { ready } from '../sys/readable.js';
import {
  beginConnect,
  connectResult,
  openStreamPair,
  receive,
  send,
  setUpTcp,
  type StreamAddress,
} from '../sys/stream-socket.js';
import { abortable } from '../sys/wait.js';
import { NbdRefusedError } from './error.js';
import { handshake, type NbdExport } from './handshake.js';
import { startTls, type TlsOptions } from './tls.js';
import type { NbdAddress, NbdUri } from './uri.js';

/** A connection in the transmission phase. */
export interface NbdConnection {
  /** A stream socket without TLS. It is the caller's, to be closed after {@link end}. */
  readonly fd: number;
  readonly export: NbdExport;
  /** Ends what encrypts it, if anything. */
  end(): void;
}

const KEEP_ALIVE = { idle: 10, interval: 5, count: 3, unacknowledged: 30 };

/** The bytes of a connection during the handshake. */
interface ByteStream {
  send(bytes: Uint8Array): Promise<void>;
  /** Exactly so many: what follows is left for later. */
  receive(length: number): Promise<Uint8Array>;
}

/**
 * Connects and negotiates.
 * @param tls for a URI with TLS
 * @param signal bounds the time
 * @throws SystemError, NbdProtocolError, NbdRefusedError; the reason of the signal
 */
export async function connectNbd(
  uri: NbdUri,
  tls: TlsOptions | undefined,
  signal: AbortSignal,
): Promise<NbdConnection> {
  const fd = await connectAny(uri.address, signal);
  const plain = new PlainStream(fd, signal);
  /** What closes the descriptor, once TLS begins. */
  let socket: Socket | undefined;
  let encrypted: TLSSocket | undefined;
  let encryptedStream: EncryptedStream | undefined;
  try {
    const steps = handshake({ exportName: uri.exportName, tls: uri.tls !== undefined });
    let next = steps.next();
    while (next.done !== true) {
      let received: Uint8Array = new Uint8Array(0);
      const step = next.value;
      const stream: ByteStream = encryptedStream ?? plain;
      if (step.type === 'send') {
        await stream.send(step.bytes);
      } else if (step.type === 'receive') {
        received = await stream.receive(step.length);
      } else {
        socket = new Socket({ fd, readable: true, writable: true });
        encrypted = await startTls(socket, tls ?? {}, signal);
        encryptedStream = new EncryptedStream(encrypted, signal);
      }
      next = steps.next(received);
    }
    encryptedStream?.release();
    if (encrypted === undefined) return { fd, export: next.value, end: () => undefined };
    return relay(encrypted, next.value);
  } catch (error) {
    encrypted?.destroy();
    if (socket === undefined) close(fd);
    else socket.destroy();
    throw error;
  }
}

/** Passes bytes between a TLS connection and a plain socket. */
function relay(encrypted: TLSSocket, described: NbdExport): NbdConnection {
  const [fd, other] = openStreamPair();
  const local = new Socket({ fd: other, readable: true, writable: true });
  const end = (): void => {
    encrypted.destroy();
    local.destroy();
  };
  for (const socket of [encrypted, local]) {
    socket.on('error', end);
    socket.on('close', end);
    socket.on('end', end);
  }
  encrypted.pipe(local);
  local.pipe(encrypted);
  return { fd, export: described, end };
}

/** Connects to the first address that answers. */
async function connectAny(address: NbdAddress, signal: AbortSignal): Promise<number> {
  let failure: unknown;
  for (const [text, one] of await resolve(address, signal)) {
    try {
      return await connectOne(`connect to ${text}`, one, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}

async function resolve(address: NbdAddress, signal: AbortSignal): Promise<(readonly [string, StreamAddress])[]> {
  if (address.type === 'unix') return [[address.path.replace('\0', '@'), address]];
  const { host, port } = address;
  const found = await abortable(lookup(host, { all: true }), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new NbdRefusedError(`The host ${host} was not found (${code})`);
  });
  return found.map(({ address: text, family }) =>
    family === 6
      ? [`[${text}]:${port}`, { type: 'ipv6', address: text, port }]
      : [`${text}:${port}`, { type: 'ipv4', address: text, port }],
  );
}

async function connectOne(operation: string, address: StreamAddress, signal: AbortSignal): Promise<number> {
  const fd = beginConnect(operation, address);
  try {
    await ready(fd, EPOLLOUT, signal);
    const errno = connectResult(fd);
    if (errno !== 0) throw new SystemError({ operation, errno });
    if (address.type !== 'unix') setUpTcp(fd, KEEP_ALIVE);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

const ended = (): NbdRefusedError => new NbdRefusedError('The server has ended the connection during the handshake');

class PlainStream implements ByteStream {
  readonly #fd: number;
  readonly #signal: AbortSignal;

  constructor(fd: number, signal: AbortSignal) {
    this.#fd = fd;
    this.#signal = signal;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const count = send(this.#fd, bytes.subarray(at));
      if (count >= 0) at += count;
      else await this.#handle(count, EPOLLOUT);
    }
  }

  async receive(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = receive(this.#fd, bytes.subarray(at));
      if (count === 0) throw ended();
      if (count > 0) at += count;
      else await this.#handle(count, EPOLLIN);
    }
    return bytes;
  }

  async #handle(result: number, events: number): Promise<void> {
    if (result === -Errno.ECONNRESET || result === -Errno.EPIPE) throw ended();
    if (result !== -Errno.EAGAIN) throw new SystemError({ operation: 'negotiate with the NBD server', errno: -result });
    await ready(this.#fd, events, this.#signal);
  }
}

const events = ['end', 'close', 'error'] as const;

/** The most bytes that are received before they are needed. */
const MAX_AHEAD = 64 * 1024;

class EncryptedStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #signal: AbortSignal;
  #received: Buffer = Buffer.alloc(0);
  /** Called when something has happened. */
  #wake: () => void = () => undefined;

  constructor(socket: TLSSocket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    socket.on('data', this.#take);
    for (const event of events) socket.on(event, this.#happened);
    signal.addEventListener('abort', this.#happened);
  }

  readonly #take = (bytes: Buffer): void => {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#received.length > MAX_AHEAD) this.#socket.pause();
    this.#wake();
  };

  readonly #happened = (): void => {
    this.#wake();
  };

  async send(bytes: Uint8Array): Promise<void> {
    let isSent = false;
    this.#socket.write(bytes, () => {
      isSent = true;
      this.#wake();
    });
    await this.#until(() => isSent);
  }

  async receive(length: number): Promise<Uint8Array> {
    this.#socket.resume();
    await this.#until(() => this.#received.length >= length);
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** Waits for a condition. @throws NbdRefusedError at the end of the connection; the reason of the signal */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#signal.throwIfAborted();
      if (this.#socket.readableEnded || this.#socket.destroyed) throw ended();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Leaves the socket to others, with what has been received and not been asked for. */
  release(): void {
    const socket = this.#socket;
    socket.off('data', this.#take);
    for (const event of events) socket.off(event, this.#happened);
    this.#signal.removeEventListener('abort', this.#happened);
    socket.pause();
    if (this.#received.length > 0) socket.unshift(this.#received);
  }
}

/** The text of a failed connection, for people. */
export const connectFailure = (error: unknown): string => (error instanceof Error ? error.message : String(error));
