import { closeSync, openSync, readSync } from 'node:fs';
import { decodeText } from '../netlink/text-encoding.js';
import { strerror } from '../sys/errno.js';
import { UsageError } from './error.js';
import { errnoOf, whenReady } from './io.js';

/** Input that is read from start to end. */
export interface Input {
  /**
   * Fills the buffer from its start, and blocks until there is data.
   * @returns the number of bytes; 0 at the end
   * @throws UsageError if it cannot be read
   */
  read(buffer: Uint8Array): number;
  close(): void;
}

/** Opens a file, or standard input for `-`. @throws UsageError if it cannot be opened */
export function openInput(name: string): Input {
  const fd = name === '-' ? 0 : guard(`Cannot open file "${name}" for reading`, () => openSync(name, 'r'));
  return {
    read: (buffer) => guard(`Cannot read file "${name}"`, () => whenReady(() => readSync(fd, buffer))),
    close: () => {
      if (fd !== 0) closeSync(fd);
    },
  };
}

/** The maximum size of a file that is read as a whole, in bytes: more than any machine needs for its devices. */
const maxTextLength = 1 << 24;

/**
 * All of a file, or of standard input for `-`, as UTF-8 text without its byte-order mark.
 * @throws UsageError if it cannot be read, is longer than 16 MiB, or is UTF-16
 */
export function readText(name: string): string {
  const failure = `Cannot read file "${name}"`;
  const fd = name === '-' ? 0 : guard(failure, () => openSync(name, 'r'));
  try {
    const bytes = guard(failure, () => readAll(fd));
    if (bytes.length > maxTextLength) throw new UsageError(`${failure}: larger than ${maxTextLength >> 20} MiB`);
    const [first = 0, second = 0] = bytes;
    if (first + second === 0xff + 0xfe && Math.abs(first - second) === 1) {
      throw new UsageError(`${failure}: the text is UTF-16; convert it to UTF-8`);
    }
    return decodeText(bytes).replace(/^\ufeff/, '');
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}

/** Reads to the end, but not much more than {@link maxTextLength}; waits for data on a non-blocking pipe. */
function readAll(fd: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let total = 0; total <= maxTextLength;) {
    const chunk = Buffer.allocUnsafe(1 << 16);
    const length = whenReady(() => readSync(fd, chunk));
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
    total += length;
  }
  return Buffer.concat(chunks);
}

function guard<Result>(failure: string, call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw new UsageError(`${failure}: ${strerror(errnoOf(error))}`);
  }
}
