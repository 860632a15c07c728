import Table from 'cli-table3';
import type { Output } from './output.js';
import { printable, widthOf, wrapped } from './cells.js';
import { roleOf, type Paint, type Role } from './paint.js';
import type { Printer } from './printer.js';

/** Where a list of words in a cell is broken into lines, in characters. */
const listWidth = 40;

/** What a table is to fit. */
export interface TableLayout {
  /** In characters; undefined where there is no end. */
  readonly width?: number | undefined;
  /** Whether its lines may be of other characters than ASCII. */
  readonly utf8: boolean;
}

/** One value, as it is shown: on one line, or on some. */
interface Cell {
  readonly text: string;
  readonly role?: Role | undefined;
}

const emptyCell: Cell = { text: '' };

/** Lines of ASCII, in the places that cli-table3 names. */
const typedLines = {
  ...{ top: '-', 'top-mid': '+', 'top-left': '+', 'top-right': '+' },
  ...{ bottom: '-', 'bottom-mid': '+', 'bottom-left': '+', 'bottom-right': '+' },
  ...{ left: '|', 'left-mid': '+', mid: '-', 'mid-mid': '+', right: '|', 'right-mid': '+', middle: '|' },
};

/** What cli-table3 puts around each text: a blank on both sides, and a line before each column and after the last. */
const paddingWidth = 2;
/** The least that a column of values may be, in characters, however narrow the terminal is. */
const narrowestValue = 8;

/**
 * One table: a row for each record, a column for each key that any of them has. Where that is too wide, a table for each
 * record, with a row for each key.
 */
export class TablePrinter implements Printer {
  readonly #output: Output;
  readonly #paint: Paint;
  /** The head of the first column: what the things in the rows are. */
  #head = '';
  readonly #layout: TableLayout;
  readonly #columns: string[] = [];
  #rows: Map<string, Cell>[] = [];
  #row = new Map<string, Cell>();
  #rowsName = '';
  #list = { key: '', words: [] as string[] };
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
    // The next one begins a row of its own.
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
      // Its own colours would be there whether they are wanted or not.
      style: { head: [], border: [] },
      chars: {
        ...(this.#layout.utf8 ? {} : typedLines),
        // Without a head the rows are those of one record, and no line is between them.
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
