/**
 * Text in attributes. Names in the kernel are bytes, by convention mostly UTF-8. A byte that is not valid UTF-8 becomes
 * the lone surrogate U+DC00 + byte, as in Python's surrogateescape, so that every byte string has a text and can be
 * recovered from it.
 */

import { ArgumentError } from '../sys/error.js';

/** The longest text that an attribute holds, in bytes: its length is 16 bits wide, and counts a header and a NUL. */
export const maxTextLength = 0xffff - 4 - 1;

const escapeBase = 0xdc00;
const loneSurrogate = /[\ud800-\udfff]/u;

/**
 * Decodes UTF-8; each byte that is not valid UTF-8 becomes the lone surrogate U+DC00 + byte. Never fails.
 * @param start where the text starts in `bytes`.
 * @param end where it ends.
 */
export function decodeText(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (end - start > shortLength) return decodeLong(bytes.subarray(start, end));
  for (let at = start; at < end; at++) {
    const byte = byteAt(bytes, at);
    if (byte >= 0x80) return decodeBeyondAscii(bytes.subarray(start, end));
    units[at - start] = byte;
  }
  return textOfUnits(end - start);
}

/** As {@link decodeText}, up to the first NUL, if any. */
export function decodeTextToNul(bytes: Uint8Array, start: number, end: number): string {
  let at = start;
  for (; at < end && at - start < shortLength; at++) {
    const byte = byteAt(bytes, at);
    if (byte === 0) return textOfUnits(at - start);
    if (byte >= 0x80) break;
    units[at - start] = byte;
  }
  if (at === end) return textOfUnits(end - start);
  const nul = bytes.subarray(0, end).indexOf(0, at);
  return decodeText(bytes, start, nul === -1 ? end : nul);
}

/** Most texts are short ASCII names, which are built from code units collected here. */
const shortLength = 64;
const units = new Array<number>(shortLength).fill(0);

function textOfUnits(length: number): string {
  return String.fromCharCode.apply(undefined, units.slice(0, length));
}

function decodeLong(bytes: Uint8Array): string {
  const isAscii = bytes.every((byte) => byte < 0x80);
  return isAscii ? Buffer.from(bytes).toString('latin1') : decodeBeyondAscii(bytes);
}

function decodeBeyondAscii(bytes: Uint8Array): string {
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const first = byteAt(bytes, at);
    const length = sequenceLength(bytes, at, first);
    if (length === 0) {
      text += String.fromCharCode(escapeBase + first);
      at += 1;
      continue;
    }
    let point = length === 1 ? first : first & (0x7f >> length);
    for (let next = at + 1; next < at + length; next++) point = (point << 6) | (byteAt(bytes, next) & 0x3f);
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

/**
 * Encodes `text` as UTF-8; a lone surrogate U+DC80…U+DCFF becomes the byte that it stands for.
 * @throws ArgumentError if `text` contains any other lone surrogate, which stands for no byte.
 */
export function encodeText(text: string): Uint8Array {
  const short = encodeShortAscii(text);
  if (short !== undefined) return short;
  // Only ASCII takes one byte per code unit.
  if (Buffer.byteLength(text) === text.length) return Buffer.from(text, 'latin1');
  if (!loneSurrogate.test(text)) return Buffer.from(text, 'utf8');
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0xd800 || point > 0xdfff) {
      parts.push(Buffer.from(character, 'utf8'));
    } else if (point >= escapeBase + 0x80 && point <= escapeBase + 0xff) {
      parts.push(Uint8Array.of(point - escapeBase));
    } else {
      throw new ArgumentError(
        `text contains the lone surrogate U+${point.toString(16).toUpperCase()}, which has no encoding`,
      );
    }
  }
  return Buffer.concat(parts);
}

/** Whether a text contains a lone surrogate that stands for no byte: {@link encodeText} throws for it. */
export function lacksBytes(text: string): boolean {
  return /[\ud800-\udc7f\udd00-\udfff]/u.test(text);
}

/** Nearly every name is like this. Buffer.from() and the search for surrogates take longer. */
function encodeShortAscii(text: string): Uint8Array | undefined {
  if (text.length > shortLength) return undefined;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x80) return undefined;
    bytes[at] = unit;
  }
  return bytes;
}

/** The length of the valid sequence at `at`, or 0. Unicode standard, table 3-7. */
function sequenceLength(bytes: Uint8Array, at: number, first: number): 0 | 1 | 2 | 3 | 4 {
  if (first < 0x80) return 1;
  const second = byteAt(bytes, at + 1);
  if (first >= 0xc2 && first <= 0xdf) return isContinuation(second) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const low = first === 0xe0 ? 0xa0 : 0x80;
    const high = first === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && isContinuation(byteAt(bytes, at + 2)) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const low = first === 0xf0 ? 0x90 : 0x80;
    const high = first === 0xf4 ? 0x8f : 0xbf;
    const inRange = second >= low && second <= high;
    return inRange && isContinuation(byteAt(bytes, at + 2)) && isContinuation(byteAt(bytes, at + 3)) ? 4 : 0;
  }
  return 0;
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte <= 0xbf;
}

/** The byte at `at`; -1, which is part of no sequence, after the end. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? -1;
}
