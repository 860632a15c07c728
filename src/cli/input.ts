import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { strerror } from '../sys/errno.js';
import { UsageError } from './error.js';
import { errnoOf, whenReady } from './io.js';

/** What is read from its start to its end. */
export interface Input {
  /**
   * Fills the buffer from its start, waiting for as long as there is nothing.
   * @returns how many bytes were read; 0 at the end
   * @throws UsageError where it cannot be read
   */
  read(buffer: Uint8Array): number;
  close(): void;
}

/** Opens a file, or standard input for `-`. @throws UsageError where it cannot be opened */
export function openInput(name: string): Input {
  const fd = name === '-' ? 0 : guard(`Cannot open file "${name}" for reading`, () => openSync(name, 'r'));
  return {
    read: (buffer) => guard(`Cannot read file "${name}"`, () => whenReady(() => readSync(fd, buffer))),
    close: () => {
      if (fd !== 0) closeSync(fd);
    },
  };
}

/** All of a file, or of standard input for `-`, as text. @throws UsageError where it cannot be read */
export function readText(name: string): string {
  return guard(`Cannot read file "${name}"`, () => readFileSync(name === '-' ? 0 : name, 'utf8'));
}

function guard<Result>(failure: string, call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw new UsageError(`${failure}: ${strerror(errnoOf(error))}`);
  }
}
