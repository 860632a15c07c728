/**
 * The socket of a server or a supervisor: each request and each answer is one line of JSON. The mode of its directory
 * permits access only to its user.
 */
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { VduseError } from '../error.js';
import type { ServerStatus } from '../engine/status.js';
import type { NbdConnectionStatus } from '../block/nbd/connections.js';
import type { FileAccessModes } from '../block/file-access.js';
import type { ServedEntry } from '../spec/arguments.js';

export type ServerRequest = { readonly do: 'status' } | { readonly do: 'end' };

/** The status of a server. */
export interface ServiceStatus extends Omit<ServerStatus, 'features'> {
  /** What it serves; its size only if it was given, since a file may grow. */
  readonly device: ServedEntry;
  /** Current size of a block device, in bytes. */
  readonly size?: number;
  /** How the file of a block device is accessed, as was asked for or as it permits. */
  readonly access?: FileAccessModes;
  /** The connections to the NBD server of a block device. */
  readonly connection?: NbdConnectionStatus;
  readonly pid: number;
  /** The process id of its supervisor, if any. */
  readonly supervisor?: number;
  /** Hexadecimal, since JSON has no 64-bit numbers. */
  readonly features: string;
  /** The device was removed from the vdpa bus, but not by the server. */
  readonly deleted: boolean;
  /** The last human-readable error. */
  readonly trouble?: string;
}

/** The status that a supervisor reports while there is no server, until the next one is ready. */
export interface StartingStatus {
  /** The device to serve. */
  readonly device: ServedEntry;
  /** `starting` for the first server, `restarting` for a replacement, `ending` once it was asked to stop. */
  readonly state: 'starting' | 'restarting' | 'ending';
  /** The supervisor's process id. */
  readonly supervisor: number;
  readonly queueCount: number;
  readonly queueSize: number;
}

export type ServerAnswer =
  | { readonly status: ServiceStatus }
  | { readonly starting: StartingStatus }
  | { readonly ended: true }
  | { readonly error: string };

/** A server is alive but does not respond in time. */
export class ServerTimeoutError extends VduseError {
  override readonly name = 'ServerTimeoutError';
}

/** The other end has closed the connection. */
class EndedError extends VduseError {
  override readonly name = 'EndedError';
}

/** Maximum length of requests and answers. */
const MAX_LENGTH = 1024 * 1024;
const REPLY_TIMEOUT_MS = 5000;

/** Errors of connect(2) if no server listens; after ECONNRESET it died before it accepted the connection. */
const isNotListening: ReadonlySet<number | undefined> = new Set([Errno.ENOENT, Errno.ECONNREFUSED, Errno.ECONNRESET]);

/**
 * Answers every connection.
 * @param path of a socket that does not exist yet
 * @param answer returns the answer; it may take time
 */
export async function listen(path: string, answer: (request: ServerRequest) => Promise<ServerAnswer>): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    readLine(socket, REPLY_TIMEOUT_MS)
      .then((line) => answer(parseRequest(line)))
      .catch((error: unknown): ServerAnswer => ({ error: String(error) }))
      .then((reply) => {
        // A client that has asked the server to stop waits for the end of the process, which closes the socket.
        if ('ended' in reply) socket.write(`${JSON.stringify(reply)}\n`);
        else socket.end(`${JSON.stringify(reply)}\n`);
      })
      .catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

/**
 * Sends a request to a server.
 * @returns undefined if none listens, or it ends before it has answered
 * @throws ServerTimeoutError if it does not answer in time, VduseError if it answers with an error
 */
export async function ask(
  { name, socketPath }: { readonly name: string; readonly socketPath: string },
  request: ServerRequest,
  timeoutMs = REPLY_TIMEOUT_MS,
): Promise<ServerAnswer | undefined> {
  const socket = connect({ path: socketPath });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    if (isNotListening.has(nodeErrno(error))) return undefined;
    throw error;
  }
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    const line = await readLine(socket, timeoutMs).catch((error: unknown) => {
      if (error instanceof EndedError) return undefined;
      if (error instanceof ServerTimeoutError) throw new ServerTimeoutError(`The server of ${name} does not respond`);
      throw error;
    });
    // It died during the request.
    if (line === undefined) return undefined;
    const answer = parseAnswer(name, line);
    if ('error' in answer) throw new VduseError(`The server of ${name}: ${answer.error}`);
    if ('ended' in answer) await closed(socket);
    return answer;
  } finally {
    socket.destroy();
  }
}

/** @throws VduseError, SyntaxError */
function parseRequest(line: string): ServerRequest {
  const request: unknown = JSON.parse(line);
  const action = typeof request === 'object' && request !== null && 'do' in request ? request.do : undefined;
  if (action === 'status' || action === 'end') return { do: action };
  throw new VduseError('invalid request');
}

/** @throws VduseError, SyntaxError */
function parseAnswer(name: string, line: string): ServerAnswer {
  const answer: unknown = JSON.parse(line);
  if (isAnswer(answer)) return answer;
  throw new VduseError(`The server of ${name} sent an invalid answer`);
}

/** Checks which answer it is; its parts are those of a server of this program, since only this user can listen. */
function isAnswer(value: unknown): value is ServerAnswer {
  if (typeof value !== 'object' || value === null) return false;
  if ('error' in value) return typeof value.error === 'string';
  if ('ended' in value) return value.ended === true;
  const status = 'status' in value ? value.status : 'starting' in value ? value.starting : undefined;
  return typeof status === 'object' && status !== null;
}

/** Waits until the other end closes the connection. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), REPLY_TIMEOUT_MS);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timer);
}

function readLine(socket: Socket, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => {
      fail('timed out waiting for a reply', ServerTimeoutError);
    }, timeoutMs);
    const fail = (why: string, Kind = VduseError): void => {
      clearTimeout(timer);
      reject(new Kind(why));
    };
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) {
        clearTimeout(timer);
        resolve(text.slice(0, end));
      } else if (text.length > MAX_LENGTH) {
        fail('the line is too long');
      }
    });
    socket.once('error', (error) => {
      fail(error.message, EndedError);
    });
    socket.once('close', () => {
      fail('connection closed without a reply', EndedError);
    });
  });
}
