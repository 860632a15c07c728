/**
 * What a renderer writes to: one sequence of calls gives text or JSON, whichever printer it is.
 * The calls, the text between values and the names are those of iproute2's lib/json_print.c, so that output can be
 * equal to its to the byte.
 */
export interface Printer {
  /** Opens an object with no name in JSON; nothing in text. */
  openSection(name: string): void;
  closeSection(): void;
  /** Starts what is told of one thing: `name: ` in text, `"name":{` in JSON. */
  openRecord(name: string): void;
  /** Ends it: the end of the line in text. */
  closeRecord(): void;
  /** A value under its key: in text `lead`, the value and `trail`. */
  string(key: string, value: string, lead: string, trail?: string): void;
  number(key: string, value: number | bigint, lead: string, trail?: string): void;
  boolean(key: string, value: boolean, lead: string, trail?: string): void;
  /** That there is no value: null in JSON, `text` in text. */
  nothing(key: string, text: string): void;
  /** Starts a list of words: on a line of its own in text. */
  openList(key: string): void;
  item(value: string | number, text?: string): void;
  closeList(): void;
  /** Starts rows that are told of one thing: an array of objects in JSON; in text each row is a line led by `name: `. */
  openRows(name: string): void;
  openRow(): void;
  closeRow(): void;
  closeRows(): void;
  /** Ends the line in text; nothing in JSON. */
  newline(): void;
  /** Closes whatever is open and ends the output. Further calls do nothing. */
  finish(): void;
  /** Remembers this place; the function returned takes back all that came after it. */
  checkpoint(): () => void;
}
