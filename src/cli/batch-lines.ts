/** The lines of a batch file, read like those of `ip -batch`: lib/utils.c of iproute2, getcmdline() and makeargs(). */
import { UsageError } from './error.js';
import { decodeText } from '../netlink/text-encoding.js';

/** One command of a batch file. */
export interface BatchLine {
  /** The number of its last line in the file, from 1. */
  readonly number: number;
  /** Without comments, continued lines joined. */
  readonly text: string;
}

/** The longest line, in bytes: more than any command needs, and a limit for files that are not batches. */
const maxLineLength = 1 << 20;

/**
 * Yields the commands of a batch file, each as soon as it is complete. `#` starts a comment, even in quotes; a
 * backslash at the end of a line continues it on the next one. A byte-order mark before the first line is skipped.
 * @param read fills the buffer from its start and returns the number of bytes; 0 at the end of the file
 * @throws UsageError if the continuation of the last line is missing, or a line is too long or contains a NUL
 */
export function* batchLines(read: (buffer: Uint8Array) => number): Generator<BatchLine> {
  let number = 0;
  let text = '';
  let goesOn = false;
  for (const line of physicalLines(read)) {
    number++;
    const bytes = number === 1 && beginsWith(line, byteOrderMark) ? line.subarray(byteOrderMark.length) : line;
    if (bytes.includes(0)) throw new UsageError(`Line ${number} contains a NUL character`);
    text += beforeComment(decodeText(bytes));
    goesOn = text.endsWith('\\\n');
    if (goesOn) {
      text = text.slice(0, -2);
      continue;
    }
    yield { number, text };
    text = '';
  }
  if (goesOn) throw new UsageError('Missing continuation line');
}

/**
 * Splits a command into words at blanks. A word that starts with a single or double quote ends at the next quote of the
 * same kind; quotes elsewhere are ordinary characters.
 * @throws UsageError if the closing quote is missing
 */
export function splitArguments(text: string): string[] {
  const args: string[] = [];
  const token = /[ \t\r\n]*(?:'([^']*)'|"([^"]*)"|(['"])|([^ \t\r\n]+))/y;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    const [, single, double, unterminated, plain] = found;
    if (unterminated !== undefined) throw new UsageError('Unterminated quoted string');
    args.push(single ?? double ?? plain ?? '');
  }
  return args;
}

/** The byte-order mark that some editors write before UTF-8. */
const byteOrderMark = Uint8Array.of(0xef, 0xbb, 0xbf);

const beginsWith = (bytes: Uint8Array, start: Uint8Array): boolean =>
  start.every((byte, index) => bytes[index] === byte);

/** The line without its comment; a comment includes the end of the line. */
function beforeComment(line: string): string {
  const at = line.indexOf('#');
  return at === -1 ? line : line.slice(0, at);
}

/** The lines of the file, each with its line end. */
function* physicalLines(read: (buffer: Uint8Array) => number): Generator<Uint8Array> {
  const buffer = new Uint8Array(1 << 16);
  let rest = new Uint8Array(0);
  let number = 1;
  for (let length = read(buffer); length > 0; length = read(buffer)) {
    const bytes = new Uint8Array(rest.length + length);
    bytes.set(rest);
    bytes.set(buffer.subarray(0, length), rest.length);
    let start = 0;
    for (let end = bytes.indexOf(newline, rest.length); end !== -1; end = bytes.indexOf(newline, start)) {
      yield bytes.subarray(start, end + 1);
      start = end + 1;
      number++;
    }
    rest = bytes.subarray(start);
    if (rest.length > maxLineLength) throw new UsageError(`Line ${number} is longer than ${maxLineLength} bytes`);
  }
  if (rest.length > 0) yield rest;
}

const newline = 0x0a;
