import Table from 'cli-table3';
import type { Output } from './output.js';
import { roleOf, type Paint } from './paint.js';
import type { Printer } from './printer.js';

/** Where a list of words in a cell is broken into lines, in characters. */
const listWidth = 40;

/** One table: a row for each record, a column for each key that any of them has. */
export class TablePrinter implements Printer {
  readonly #output: Output;
  readonly #paint: Paint;
  /** The head of the first column: what the things in the rows are. */
  #head = '';
  readonly #columns: string[] = [];
  #rows: Map<string, string>[] = [];
  #row = new Map<string, string>();
  #rowsName = '';
  #list = { key: '', words: [] as string[] };
  #finished = false;

  constructor(output: Output, paint: Paint) {
    this.#output = output;
    this.#paint = paint;
  }

  openSection(name: string): void {
    this.#head = name;
  }

  closeSection(): void {
    // There is one section, and it ends with the table.
  }

  openRecord(name: string): void {
    this.#row = new Map([['', this.#paint('name', printable(name))]]);
    this.#rows.push(this.#row);
  }

  closeRecord(): void {
    // The next one begins a row of its own.
  }

  string(key: string, value: string): void {
    const text = printable(value);
    const role = roleOf(key, text);
    this.#put(key, role === undefined ? text : this.#paint(role, text));
  }

  number(key: string, value: number | bigint): void {
    this.#put(key, value.toString());
  }

  boolean(key: string, value: boolean): void {
    this.#put(key, value ? 'true' : 'false');
  }

  nothing(key: string): void {
    this.#put(key, '');
  }

  openList(key: string): void {
    this.#list = { key, words: [] };
  }

  item(value: string | number, text = value.toString()): void {
    this.#list.words.push(printable(text));
  }

  closeList(): void {
    this.#put(this.#list.key, breakLines(this.#list.words));
  }

  openRows(name: string): void {
    this.#rowsName = name;
  }

  openRow(): void {
    this.openRecord(this.#rowsName);
  }

  closeRow(): void {
    // The next one begins a row of its own.
  }

  closeRows(): void {
    // What follows begins a row of its own.
  }

  newline(): void {
    // A row has no lines.
  }

  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    if (this.#rows.length > 0) {
      const table = new Table({
        head: [this.#head, ...this.#columns],
        // Its own colours would be there whether they are wanted or not.
        style: { head: [], border: [] },
      });
      for (const row of this.#rows) table.push(['', ...this.#columns].map((column) => row.get(column) ?? ''));
      this.#output.put(`${table.toString()}\n`);
    }
    this.#output.flush();
  }

  checkpoint(): () => void {
    const { length } = this.#rows;
    return () => {
      this.#rows = this.#rows.slice(0, length);
    };
  }

  #put(key: string, value: string): void {
    // Two of iproute2's keys end with a blank.
    const column = key.trim();
    if (!this.#columns.includes(column)) this.#columns.push(column);
    this.#row.set(column, value);
  }
}

/** Words in lines that are not much longer than {@link listWidth}. */
function breakLines(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= listWidth) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

/** Text in which every character takes its place: a control character in a name would tear the table. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}
