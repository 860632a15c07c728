import { writeSync } from 'node:fs';
import { encodeText } from '../netlink/text.js';

/** What a command line touches of its surroundings, so that a test can give it others. */
export interface Io {
  readonly env: NodeJS.ProcessEnv;
  /** Writes text to standard output. */
  stdout(text: string): void;
  /** Writes text to standard error. */
  stderr(text: string): void;
}

/** The surroundings of this process. */
export function processIo(): Io {
  return {
    env: process.env,
    stdout: (text) => {
      writeAll(1, text);
    },
    stderr: (text) => {
      writeAll(2, text);
    },
  };
}

/** Writes all of a text, also where the other end is a pipe that takes a part at a time or is not ready. */
function writeAll(fd: number, text: string): void {
  let bytes = encodeText(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
