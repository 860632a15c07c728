/** A record of what programs requested from a simulated machine, for tests: one JSON object per line. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { MessageConverter } from '../netlink/message-json.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { nodeErrno, strerror } from '../sys/errno.js';
import { vdpaNames } from '../vdpa/names.js';
import { SimulationError } from './error.js';

/**
 * A file to which any number of processes append lines: each line is written by a single write to a descriptor with
 * O_APPEND, so that lines do not mix.
 */
export class RecordFile {
  readonly #fd: number;
  readonly #path: string;
  #isOpen = true;

  /**
   * Opens the file, and creates it for its owner only.
   * @param truncate empties it
   * @throws SimulationError if it cannot be opened, is a symbolic link or not a regular file
   */
  constructor(path: string, { truncate = false }: { readonly truncate?: boolean } = {}) {
    this.#path = path;
    const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK, O_TRUNC } = constants;
    this.#fd = this.#guard(() =>
      openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | (truncate ? O_TRUNC : 0), 0o600),
    );
    if (fstatSync(this.#fd).isFile()) return;
    this.close();
    throw new SimulationError(`Cannot record to ${path}: not a regular file`);
  }

  /** Appends an object as a line, with the time and the process. @throws SimulationError if it cannot be written */
  append(entry: Readonly<Record<string, unknown>>): void {
    const line = Buffer.from(`${JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...entry })}\n`);
    const written = this.#guard(() => writeSync(this.#fd, line));
    if (written < line.length) throw new SimulationError(`Cannot record to ${this.#path}: the disk is full`);
  }

  /** Calling it again does nothing. */
  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }

  #guard<Result>(call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      const errno = nodeErrno(error);
      if (errno === undefined) throw error;
      throw new SimulationError(`Cannot record to ${this.#path}: ${strerror(errno)}`);
    }
  }
}

/** A transport that appends every message that it transfers to a file, which it closes with itself. */
export function recordTransport(transport: NetlinkTransport, file: RecordFile): NetlinkTransport {
  const converter = new MessageConverter({ vdpa: vdpaNames });
  const record = (datagram: Uint8Array): void => {
    for (const message of converter.convert(datagram)) file.append({ ...message });
  };
  const received = (datagram: Uint8Array): Uint8Array => {
    record(datagram);
    return datagram;
  };
  return {
    port: transport.port,
    send: (datagram) => {
      record(datagram);
      return transport.send(datagram);
    },
    receive: (timeoutMs) => {
      const result = transport.receive(timeoutMs);
      return result instanceof Promise ? result.then(received) : received(result);
    },
    close: async () => {
      await transport.close();
      file.close();
    },
  };
}
