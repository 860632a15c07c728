import { readFileSync, writeSync } from 'node:fs';
import type { NetlinkTransport } from '../netlink/transport.js';
import { decodeText, encodeText } from '../netlink/text-encoding.js';
import { Errno, nodeErrno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';

/** Writing to standard output failed. */
export class OutputError extends SystemError {
  override readonly name = 'OutputError';
}

/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The environment of a command line, which tests can replace. */
export interface Io {
  readonly env: NodeJS.ProcessEnv;
  /** Writes text to standard output. @throws OutputError if it cannot be written */
  stdout(text: string): void;
  /** Writes text to standard error. */
  stderr(text: string): void;
  /** Whether standard output is a terminal; false by default. */
  readonly isTerminal?: () => boolean;
  /** The current size of that terminal; undefined if it is not a terminal. */
  readonly terminalSize?: () => TerminalSize | undefined;
  /** A replacement for the kernel. */
  readonly openTransport?: () => NetlinkTransport;
}

/** The environment of this process. */
export function processIo(): Io {
  return {
    env: process.env,
    stdout: (text) => {
      try {
        writeAll(1, text);
      } catch (cause) {
        throw new OutputError({ operation: 'write to standard output', errno: errnoOf(cause), cause });
      }
    },
    stderr: (text) => {
      try {
        writeAll(2, text);
      } catch {
        // There is nowhere left to report this.
      }
    },
    // Evaluated lazily: Node's module for terminals takes a millisecond, and few commands need it.
    isTerminal: () => process.getBuiltinModule('node:tty').isatty(1),
    terminalSize: () => {
      const { isTTY, columns, rows } = process.stdout;
      return isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined;
    },
  };
}

/**
 * The arguments. Node decodes them as UTF-8 with U+FFFD for invalid bytes: then they are read from /proc, so that names
 * of any bytes are possible.
 */
export function processArguments(): string[] {
  const args = process.argv.slice(2);
  if (!args.some((word) => word.includes('\ufffd'))) return args;
  const raw = decodeText(readFileSync('/proc/self/cmdline')).split('\0').slice(0, -1);
  return raw.length > args.length ? raw.slice(-args.length) : args;
}

/** The error number of an error that node:fs threw; EIO if it has none. */
export function errnoOf(error: unknown): number {
  return nodeErrno(error) ?? Errno.EIO;
}

/** Repeats a call of node:fs while the other end of a non-blocking pipe is not ready. */
export function whenReady<Result>(call: () => Result): Result {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (errnoOf(error) !== Errno.EAGAIN) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, napMs);
    }
  }
}

const napMs = 1;

/** Writes all of a text, even if the other end accepts only a part at a time. */
function writeAll(fd: number, text: string): void {
  let bytes = encodeText(text);
  while (bytes.length > 0) {
    const left = bytes;
    bytes = left.subarray(whenReady(() => writeSync(fd, left)));
  }
}
