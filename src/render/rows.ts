import type { Printer } from './printer.js';

/** Rows of one kind, each printed by `tell`. */
export function renderRows<T>(printer: Printer, name: string, items: Iterable<T>, tell: (item: T) => void): void {
  printer.openRows(name);
  for (const item of items) {
    printer.openRow();
    tell(item);
    printer.closeRow();
  }
  printer.closeRows();
}
