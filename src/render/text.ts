import type { Output } from './output.js';
import { roleOf, type Paint } from './paint.js';
import type { Printer } from './printer.js';

/** Lines of text, spaced as in iproute2, including trailing blanks. */
export class TextPrinter implements Printer {
  readonly #output: Output;
  readonly #paint: Paint | undefined;
  #rowName = '';
  #inRecord = false;
  /** Rows within a record have ended its line. */
  #rowsEndedLine = false;

  /** @param paint colors names and some values; without it there are no colors */
  constructor(output: Output, paint?: Paint) {
    this.#output = output;
    this.#paint = paint;
  }

  openSection(): void {
    // Sections exist in JSON only.
  }

  closeSection(): void {
    // Sections exist in JSON only.
  }

  openRecord(name: string): void {
    this.#inRecord = true;
    this.#rowsEndedLine = false;
    this.#output.put(`${this.#named(name)}: `);
  }

  closeRecord(): void {
    this.#inRecord = false;
    if (!this.#rowsEndedLine) this.newline();
  }

  string(key: string, value: string, lead: string, trail = ''): void {
    const role = this.#paint && roleOf(key, value);
    this.#output.put(lead + (this.#paint && role ? this.#paint(role, value) : value) + trail);
  }

  number(_key: string, value: number | bigint, lead: string, trail = ''): void {
    this.#output.put(lead + value.toString() + trail);
  }

  boolean(_key: string, value: boolean, lead: string, trail = ''): void {
    this.#output.put(lead + (value ? 'true' : 'false') + trail);
  }

  nothing(_key: string, text: string): void {
    this.#output.put(text);
  }

  openList(key: string): void {
    this.#output.put(`\n  ${key}`);
  }

  item(value: string | number, text = value.toString()): void {
    this.#output.put(` ${text}`);
  }

  closeList(): void {
    // The line ends with the record, or with the next list.
  }

  openRows(name: string): void {
    this.#rowName = this.#inRecord ? `  ${name}` : name;
    if (!this.#inRecord || this.#rowsEndedLine) return;
    this.newline();
    this.#rowsEndedLine = true;
  }

  openRow(): void {
    if (this.#rowName !== '') this.#output.put(`${this.#named(this.#rowName)}: `);
  }

  closeRow(): void {
    this.newline();
  }

  closeRows(): void {
    // The last row has ended its line.
  }

  newline(): void {
    this.#output.put('\n');
  }

  finish(): void {
    this.#output.flush();
  }

  checkpoint(): () => void {
    const { length } = this.#output;
    return () => {
      this.#output.truncate(length);
    };
  }

  #named(name: string): string {
    return this.#paint ? this.#paint('name', name) : name;
  }
}
