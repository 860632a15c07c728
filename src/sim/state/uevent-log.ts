/**
 * The uevents of a simulated machine, beside its state file: one line of JSON per event, so that other processes can
 * follow them without reading the state. Their sequence numbers tell whether any are missing.
 */
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { parseJson } from './json.js';
import type { UeventEntries } from './store.js';

/** The size of a log after which it is replaced by an empty one, in bytes: several thousand events. */
const maxLength = 1 << 20;

/** The log of the machine with this state file. */
export function ueventLogPath(statePath: string): string {
  return `${statePath}.events`;
}

/** Appends events to a log. Runs with the lock of the state held. @throws errors of node:fs */
export function appendUevents(path: string, uevents: readonly UeventEntries[]): void {
  const text = uevents.map((uevent) => `${JSON.stringify(uevent)}\n`).join('');
  const fd = openLog(path);
  try {
    if (fstatSync(fd).size + text.length <= maxLength) {
      writeSync(fd, text);
      return;
    }
  } finally {
    closeSync(fd);
  }
  // Readers finish the old file first, which they have open.
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const replacement = openLog(temporary);
  try {
    writeSync(replacement, text);
    renameSync(temporary, path);
  } finally {
    closeSync(replacement);
  }
}

function openLog(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
}

/** Reads the events of a log as they are appended. */
export class UeventLogReader {
  readonly #path: string;
  #fd: number | undefined;
  #position = 0;
  #rest = '';

  /** Skips the events that are already in the log. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openForReading(path);
    if (this.#fd !== undefined) this.#position = fstatSync(this.#fd).size;
  }

  /** The events since the last call. @throws errors of node:fs */
  read(): UeventEntries[] {
    const uevents = this.#readOpen();
    const next = openForReading(this.#path);
    if (next === undefined) return uevents;
    if (this.#fd !== undefined && fstatSync(this.#fd).ino === fstatSync(next).ino) {
      closeSync(next);
      return uevents;
    }
    // The log was replaced; what was appended to the old one in the meantime has been read.
    uevents.push(...this.#readOpen());
    this.close();
    this.#fd = next;
    this.#position = 0;
    this.#rest = '';
    return [...uevents, ...this.#readOpen()];
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #readOpen(): UeventEntries[] {
    if (this.#fd === undefined) return [];
    const bytes = Buffer.alloc(Math.max(0, fstatSync(this.#fd).size - this.#position));
    const length = readSync(this.#fd, bytes, 0, bytes.length, this.#position);
    this.#position += length;
    const lines = (this.#rest + bytes.toString('utf8', 0, length)).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap(parseEntries);
  }
}

/** None for a line whose writer was killed: that an event is missing is known from its number. */
function parseEntries(line: string): UeventEntries[] {
  try {
    const value: unknown = parseJson(line);
    return Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? [value] : [];
  } catch {
    return [];
  }
}

function openForReading(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
