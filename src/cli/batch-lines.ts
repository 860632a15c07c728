/** The lines of a batch file, read as `ip -batch` reads them: lib/utils.c of iproute2, getcmdline() and makeargs(). */
import { UsageError } from './error.js';
import { decodeText } from '../netlink/text-encoding.js';

/** One command of a batch file. */
export interface BatchLine {
  /** The number of its last line in the file, from 1. */
  readonly number: number;
  /** Without comments, continued lines joined. */
  readonly text: string;
}

/** The longest line, in bytes: more than a command can need, and a bound for a file that is none. */
const maxLineLength = 1 << 20;

/**
 * Gives the commands of a batch file, each as soon as it is there. `#` begins a comment, in quotes too; a line that ends
 * with a backslash goes on in the next one. A byte-order mark before the first line is skipped.
 * @param read fills the buffer from its start and says with how many bytes; 0 at the end of the file
 * @throws UsageError where the last line is to go on, or a line is too long or holds a NUL
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
 * Splits a command into words at blanks. A word that begins with a single or double quote goes to the next one of its
 * kind, whatever is in between; a quote anywhere else means itself.
 * @throws UsageError where the second quote is missing
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

/** What some editors write before the first line of UTF-8. */
const byteOrderMark = Uint8Array.of(0xef, 0xbb, 0xbf);

const beginsWith = (bytes: Uint8Array, start: Uint8Array): boolean =>
  start.every((byte, index) => bytes[index] === byte);

/** A comment takes the end of its line with it. */
function beforeComment(line: string): string {
  const at = line.indexOf('#');
  return at === -1 ? line : line.slice(0, at);
}

/** Lines as they are in the file, each with its end. */
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
