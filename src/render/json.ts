import type { Output } from './output.js';
import type { Printer } from './printer.js';

/**
 * A text in JSON, with lone surrogates, which stand for bytes that are not UTF-8, as `\udcXX`. Like iproute2, it also
 * escapes the one control character that JSON permits unescaped.
 */
function quote(text: string): string {
  const literal = JSON.stringify(text);
  return literal.includes('\x7f') ? literal.replaceAll('\x7f', '\\u007f') : literal;
}

/** Encoded keys of members. There are few, which a list repeats. */
const knownKeys = new Map<string, string>();

function knownKey(name: string): string {
  let key = knownKeys.get(name);
  if (key === undefined) knownKeys.set(name, (key = `${quote(name)}:`));
  return key;
}

type Scope = '}' | ']';

/** One JSON document in the layout of iproute2's lib/json_writer.c: plain, or pretty with four blanks per level. */
export class JsonPrinter implements Printer {
  readonly #output: Output;
  readonly #pretty: boolean;
  #scopes: Scope[] = [];
  /** The separator before the next value: a comma, or nothing at the start of a scope and after a key. */
  #separator: '' | ',' = '';
  #started = false;
  #finished = false;

  constructor(output: Output, { pretty = false }: { pretty?: boolean } = {}) {
    this.#output = output;
    this.#pretty = pretty;
  }

  openSection(name: string): void {
    this.#open('{', '}');
    this.#open('{', '}', this.#keyText(name));
  }

  closeSection(): void {
    this.#close();
    this.#close();
  }

  openRecord(name: string): void {
    this.#open('{', '}', this.#keyText(name));
  }

  closeRecord(): void {
    this.#close();
  }

  string(key: string, value: string): void {
    this.#member(key, quote(value));
  }

  number(key: string, value: number | bigint): void {
    this.#member(key, value.toString());
  }

  boolean(key: string, value: boolean): void {
    this.#member(key, value ? 'true' : 'false');
  }

  nothing(key: string): void {
    this.#member(key, 'null');
  }

  openList(key: string): void {
    this.#open('[', ']', this.#keyText(key));
    if (this.#pretty) this.#output.put(' ');
  }

  item(value: string | number): void {
    this.#value(typeof value === 'string' ? quote(value) : value.toString());
  }

  closeList(): void {
    this.#close();
  }

  openRows(name: string): void {
    this.openList(name);
  }

  openRow(): void {
    this.#open('{', '}');
  }

  closeRow(): void {
    this.#close();
  }

  closeRows(): void {
    this.#close();
  }

  newline(): void {
    // Only text has lines.
  }

  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    if (!this.#started) this.#open('{', '}');
    while (this.#scopes.length > 0) this.#close();
    this.#output.put('\n');
    this.#output.flush();
  }

  checkpoint(): () => void {
    const { length } = this.#output;
    const scopes = [...this.#scopes];
    const separator = this.#separator;
    return () => {
      this.#output.truncate(length);
      this.#scopes = [...scopes];
      this.#separator = separator;
    };
  }

  /** @param lead text before the bracket */
  #open(bracket: '{' | '[', scope: Scope, lead: string = this.#separator): void {
    this.#started = true;
    this.#output.put(lead + bracket);
    this.#scopes.push(scope);
    this.#separator = '';
  }

  #close(): void {
    const scope = this.#scopes.pop();
    if (scope === undefined) throw new Error('a JSON scope was closed that was not open');
    if (this.#pretty && this.#separator !== '') this.#output.put(scope === '}' ? this.#lineBreak() : ' ');
    this.#output.put(scope);
    this.#separator = ',';
  }

  #member(name: string, literal: string): void {
    this.#output.put((this.#pretty ? this.#keyText(name) : this.#separator + knownKey(name)) + literal);
    this.#separator = ',';
  }

  #keyText(name: string): string {
    return this.#pretty
      ? `${this.#separator}${this.#lineBreak()}${quote(name)}: `
      : `${this.#separator}${quote(name)}:`;
  }

  #value(literal: string): void {
    this.#output.put(this.#separator + literal);
    this.#separator = ',';
  }

  #lineBreak(): string {
    return `\n${'    '.repeat(this.#scopes.length)}`;
  }
}
