/** Parses JSON with positions, for error messages about handwritten files. */

import { lacksBytes, maxTextLength } from '../../netlink/text-encoding.js';

/** A JSON value. Objects have no prototype, so that no key has a special meaning. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** A parsed file and the line of each of its values. */
export interface JsonSource {
  readonly value: JsonValue;
  /**
   * The line of a value by its path, a JSON pointer (RFC 6901): `/devices/3/mac`. For a missing value, the line of its
   * parent.
   */
  lineOf(path: string): number;
}

/** The text is not valid JSON. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  /** From 1. */
  readonly line: number;
  /** In UTF-16 units, from 1. */
  readonly column: number;

  constructor(reason: string, line: number, column: number) {
    super(`line ${line}, column ${column}: ${reason}`);
    this.line = line;
    this.column = column;
  }
}

/** Maximum nesting depth. */
const maxDepth = 100;

/**
 * Parses JSON (RFC 8259). A duplicate key is an error: one of the values would be lost.
 * @throws JsonSyntaxError
 */
export function parseJson(text: string): JsonSource {
  const reader = new Reader(text);
  const value = reader.document();
  const { lines } = reader;
  return {
    value,
    lineOf: (path) => {
      for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
        const line = lines.get(at);
        if (line !== undefined) return line;
        if (at === '') return 1;
      }
    },
  };
}

/** The part of a text that fits into an error. */
export function shortened(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

class Reader {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value('', 0);
    this.#skipBlanks();
    if (this.#at < this.#text.length) throw this.#error('unexpected data after the document');
    return value;
  }

  #value(path: string, depth: number): JsonValue {
    if (depth > maxDepth) throw this.#error(`values are nested more than ${maxDepth} levels deep`);
    this.#skipBlanks();
    this.lines.set(path, this.#line);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(path, depth);
      case '[':
        return this.#array(path, depth);
      case '"':
        return this.#string();
      case undefined:
        throw this.#error('unexpected end of the document');
      default:
        return this.#literal();
    }
  }

  #object(path: string, depth: number): JsonValue {
    const object: Record<string, JsonValue> = { __proto__: null };
    this.#at++;
    if (this.#take('}')) return object;
    do {
      this.#skipBlanks();
      if (this.#text[this.#at] !== '"') throw this.#error('expected a key in double quotes');
      const key = this.#string();
      if (Object.hasOwn(object, key)) throw this.#error(`duplicate key ${JSON.stringify(shortened(key))}`);
      if (!this.#take(':')) throw this.#error('expected ":"');
      object[key] = this.#value(`${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#error('expected "," or "}"');
    return object;
  }

  #array(path: string, depth: number): JsonValue {
    const array: JsonValue[] = [];
    this.#at++;
    if (this.#take(']')) return array;
    do array.push(this.#value(`${path}/${array.length}`, depth + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#error('expected "," or "]"');
    return array;
  }

  #string(): string {
    const end = this.#endOfString();
    if (end === undefined) throw this.#error('unterminated string');
    const token = this.#text.slice(this.#at, end);
    this.#at = end;
    const text = this.#native(token, 'invalid string');
    if (typeof text !== 'string') throw this.#error('invalid string');
    if (lacksBytes(text)) {
      this.#at -= token.length;
      throw this.#error('the string contains a lone surrogate');
    }
    // Strings of a file become netlink texts or paths, which are shorter.
    if (Buffer.byteLength(text) > maxTextLength) {
      this.#at -= token.length;
      throw this.#error(`the string is longer than ${maxTextLength} bytes`);
    }
    return text;
  }

  /** The position after the closing quote. A regular expression would overflow the stack on a long string. */
  #endOfString(): number | undefined {
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const character = this.#text[at];
      if (character === '"') return at + 1;
      if (character === '\n') return undefined;
      if (character === '\\') at++;
    }
    return undefined;
  }

  #literal(): JsonValue {
    const token = this.#match(/[-+.\w]+/y);
    if (token === undefined) throw this.#error(`unexpected ${JSON.stringify(this.#text[this.#at])}`);
    return this.#native(token, `invalid value ${JSON.stringify(shortened(token))}`);
  }

  /** A token parsed by JavaScript's own parser; `#at` is already after it. */
  #native(token: string, reason: string): JsonValue {
    try {
      // A token is not an object: its value is a JSON value of this module.
      return JSON.parse(token) as JsonValue;
    } catch {
      this.#at -= token.length;
      throw this.#error(reason);
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    this.#at += token?.length ?? 0;
    return token;
  }

  #take(character: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipBlanks(): void {
    for (; ; this.#at++) {
      const character = this.#text[this.#at];
      if (character === '\n') {
        this.#line++;
        this.#lineStart = this.#at + 1;
      } else if (character !== ' ' && character !== '\t' && character !== '\r') return;
    }
  }

  #error(reason: string): JsonSyntaxError {
    return new JsonSyntaxError(reason, this.#line, this.#at - this.#lineStart + 1);
  }
}
