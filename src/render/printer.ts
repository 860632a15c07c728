/**
 * The output of renderers: the same sequence of calls produces text or JSON, depending on the printer. Calls, text
 * between values and names are those of iproute2's lib/json_print.c, so that the output can be the same to the byte.
 */
export interface Printer {
  /** Opens an object without a name in JSON; nothing in text. */
  openSection(name: string): void;
  closeSection(): void;
  /** Starts an object: `name: ` in text, `"name":{` in JSON. */
  openRecord(name: string): void;
  /** Ends it: the end of the line in text. */
  closeRecord(): void;
  /** A value under its key: in text `lead`, the value and `trail`. */
  string(key: string, value: string, lead: string, trail?: string): void;
  number(key: string, value: number | bigint, lead: string, trail?: string): void;
  boolean(key: string, value: boolean, lead: string, trail?: string): void;
  /** A missing value: null in JSON, `text` in text. */
  nothing(key: string, text: string): void;
  /** Starts a list of words: on a line of its own in text. */
  openList(key: string): void;
  item(value: string | number, text?: string): void;
  closeList(): void;
  /** Starts the rows of an object: an array of objects in JSON; in text each row is a line with the prefix `name: `. */
  openRows(name: string): void;
  openRow(): void;
  closeRow(): void;
  closeRows(): void;
  /** Ends the line in text; nothing in JSON. */
  newline(): void;
  /** Closes everything that is open and ends the output. Further calls do nothing. */
  finish(): void;
  /** Marks this position; the returned function discards everything after it. */
  checkpoint(): () => void;
}

/** Rows of one kind, each printed by `render`. */
export function renderRows<T>(printer: Printer, name: string, items: Iterable<T>, render: (item: T) => void): void {
  printer.openRows(name);
  for (const item of items) {
    printer.openRow();
    render(item);
    printer.closeRow();
  }
  printer.closeRows();
}
