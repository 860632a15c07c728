import Table from 'cli-table3';
import type { Output } from './output.js';
import { printable, widthOf, wrapped } from './cells.js';
import { roleOf, type Paint, type Role } from './paint.js';
import type { Printer } from './printer.js';

/** Width at which a list of words in a cell is wrapped, in characters. */
const listWidth = 40;

/** The limits of a table. */
export interface TableLayout {
  /** In characters; undefined if there is no limit. */
  readonly width?: number | undefined;
  /** Whether its lines may use characters other than ASCII. */
  readonly utf8: boolean;
}

/** One value as printed, on one or more lines. */
interface Cell {
  readonly text: string;
  readonly role?: Role | undefined;
}

const emptyCell: Cell = { text: '' };

/** ASCII lines, by the names of cli-table3. */
const typedLines = {
  ...{ top: '-', 'top-mid': '+', 'top-left': '+', 'top-right': '+' },
  ...{ bottom: '-', 'bottom-mid': '+', 'bottom-left': '+', 'bottom-right': '+' },
  ...{ left: '|', 'left-mid': '+', mid: '-', 'mid-mid': '+', right: '|', 'right-mid': '+', middle: '|' },
};

/** The padding of cli-table3: a blank on both sides of each text, and a line before each column and after the last. */
const paddingWidth = 2;
/** Minimum width of a column of values, in characters, however narrow the terminal is. */
const narrowestValue = 8;

/**
 * One table: a row for each record, a column for each key of any record. If that is too wide, a table for each record,
 * with a row for each key.
 */
export class TablePrinter implements Printer {
  readonly #output: Output;
  readonly #paint: Paint;
  /** The head of the first column: the kind of objects in the rows. */
  #head = '';
  readonly #layout: TableLayout;
  readonly #columns: string[] = [];
  #rows: Map<string, Cell>[] = [];
  #row = new Map<string, Cell>();
  #rowsName = '';
  #list: { readonly key: string; readonly words: string[] } = { key: '', words: [] };
  #finished = false;

  constructor(output: Output, paint: Paint, layout: TableLayout = { utf8: true }) {
    this.#output = output;
    this.#paint = paint;
    this.#layout = layout;
  }

  openSection(name: string): void {
    this.#head = name;
  }

  closeSection(): void {
    // There is one section, and it ends with the table.
  }

  openRecord(name: string): void {
    this.#row = new Map([['', { text: printable(name), role: 'name' }]]);
    this.#rows.push(this.#row);
  }

  closeRecord(): void {
    // The next one starts a new row.
  }

  string(key: string, value: string): void {
    const text = printable(value);
    this.#put(key, text, roleOf(key, text));
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
    // The next one starts a new row.
  }

  closeRows(): void {
    // The following values start a new row.
  }

  newline(): void {
    // A row has no lines.
  }

  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    if (this.#rows.length > 0) this.#output.put(this.#draw());
    this.#output.flush();
  }

  checkpoint(): () => void {
    const { length } = this.#rows;
    return () => {
      this.#rows = this.#rows.slice(0, length);
    };
  }

  #put(key: string, text: string, role?: Role): void {
    // Two of iproute2's keys end with a blank.
    const column = key.trim();
    if (!this.#columns.includes(column)) this.#columns.push(column);
    this.#row.set(column, { text, role });
  }

  #draw(): string {
    const { width } = this.#layout;
    const keys = ['', ...this.#columns];
    const rows = this.#rows.map((row) => keys.map((key) => row.get(key) ?? emptyCell));
    const names = [this.#head, ...this.#columns];
    const widest = names.map((name, column) => Math.max(widthOf(name), ...rows.map((row) => cellWidth(row[column]))));
    const total = widest.reduce((sum, columnWidth) => sum + columnWidth + paddingWidth + 1, 1);
    if (width === undefined || total <= width) {
      return this.#table(
        rows.map((row) => row.map((cell) => this.#painted(cell))),
        names,
      );
    }
    const nameWidth = Math.max(...names.map(widthOf));
    const valueWidth = Math.max(narrowestValue, width - nameWidth - 2 * paddingWidth - 3);
    const ofRecord = (row: readonly Cell[]): string[][] =>
      row.flatMap((cell, column) => {
        if (cell === emptyCell) return [];
        const text = wrapped(cell.text, valueWidth).join('\n');
        return [[names[column] ?? '', this.#painted({ ...cell, text })]];
      });
    return rows.map((row) => this.#table(ofRecord(row))).join('');
  }

  #painted({ text, role }: Cell): string {
    if (role === undefined) return text;
    return text
      .split('\n')
      .map((line) => this.#paint(role, line))
      .join('\n');
  }

  #table(rows: readonly string[][], head?: string[]): string {
    const table = new Table({
      ...(head && { head }),
      // Its own colors would always be printed.
      style: { head: [], border: [] },
      chars: {
        ...(this.#layout.utf8 ? {} : typedLines),
        // Without a head, the rows are those of one record, without lines between them.
        ...(head ? {} : { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' }),
      },
    });
    table.push(...rows);
    return `${table.toString()}\n`;
  }
}

function cellWidth(cell: Cell | undefined): number {
  return Math.max(...(cell?.text ?? '').split('\n').map(widthOf));
}

/** Words in lines not much longer than {@link listWidth}. */
function breakLines(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= listWidth) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}
