/**
 * The socket of a server or a supervisor: one line of JSON asks, one line of JSON answers. Only its user reaches it, by the
 * mode of its folder.
 */
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { VduseError } from '../error.js';
import type { ServerStatus } from '../engine/status.js';
import type { ServedEntry } from '../spec/arguments.js';

export type ServerRequest = { readonly do: 'status' } | { readonly do: 'end' };

/** What a server tells of itself. */
export interface ServiceStatus extends Omit<ServerStatus, 'features'> {
  /** What it serves; its size only where it was asked for, as a file may grow. */
  readonly device: ServedEntry;
  /** Bytes that a block device has now. */
  readonly size?: number;
  readonly pid: number;
  /** The process id of its supervisor, where it has one. */
  readonly supervisor?: number;
  /** Hexadecimal, since JSON has no numbers of 64 bits. */
  readonly features: string;
  /** The device was on the vdpa bus and is no more, which is not the server's doing. */
  readonly deleted: boolean;
  /** What went wrong last, for people. */
  readonly trouble?: string;
}

/** What a supervisor tells of its device while there is no server, until the next one is ready. */
export interface StartingStatus {
  /** What is to be served. */
  readonly device: ServedEntry;
  /** `starting` for the first server, `restarting` for one that takes the place of another, `ending` once it is told to. */
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

/** A server lives and does not answer in time. */
export class ServerTimeoutError extends VduseError {
  override readonly name = 'NoAnswerError';
}

/** The other end is gone. */
class EndedError extends VduseError {
  override readonly name = 'EndedError';
}

/** No request and no answer is longer. */
const MAX_LENGTH = 1024 * 1024;
const REPLY_TIMEOUT_MS = 5000;

/** Answers whoever connects. @param path of a socket that is not there yet @param answer what to say; it may take its time */
export async function listen(path: string, answer: (request: ServerRequest) => Promise<ServerAnswer>): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    readLine(socket, REPLY_TIMEOUT_MS)
      .then((line) => answer(JSON.parse(line) as ServerRequest))
      .catch((error: unknown): ServerAnswer => ({ error: String(error) }))
      .then((reply) => {
        // Whoever has told the server to end waits for the end of the process, which closes the socket.
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
 * Asks a server.
 * @returns undefined where none listens, or it ends before it has answered
 * @throws ServerTimeoutError where it does not answer in time, VduseError where it answers with an error
 */
export async function ask(
  { name, socketPath }: { readonly name: string; readonly socketPath: string },
  request: ServerRequest,
  patienceMs = REPLY_TIMEOUT_MS,
): Promise<ServerAnswer | undefined> {
  const socket = connect({ path: socketPath });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // The last one means that it has died with the connection not yet accepted.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') return undefined;
    throw error;
  }
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    const line = await readLine(socket, patienceMs).catch((error: unknown) => {
      if (error instanceof EndedError) return undefined;
      if (error instanceof ServerTimeoutError) throw new ServerTimeoutError(`The server of ${name} does not answer`);
      throw error;
    });
    // It has died while it was asked.
    if (line === undefined) return undefined;
    const answer = JSON.parse(line) as ServerAnswer;
    if ('error' in answer) throw new VduseError(`The server of ${name}: ${answer.error}`);
    if ('ended' in answer) await closed(socket);
    return answer;
  } finally {
    socket.destroy();
  }
}

/** Waits until the other end is gone. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), REPLY_TIMEOUT_MS);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timer);
}

function readLine(socket: Socket, patienceMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => {
      fail('no answer in time', ServerTimeoutError);
    }, patienceMs);
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
      fail('it ended without an answer', EndedError);
    });
  });
}
