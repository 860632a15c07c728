/** Text in columns of a terminal: East Asian characters use two columns, combining ones none. */
import stringWidth from 'string-width';

/**
 * Text in which every character has its width: a control character in a name would break a table, or move the cursor.
 */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}

/** The number of columns of a text without control characters. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** The text padded with blanks after it, or before it, to a width. */
export function padded(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return side === 'left' ? text + blanks : blanks + text;
}

/** The start of a text that fits into a number of columns. */
export function leading(text: string, width: number): string {
  let taken = '';
  for (const character of text) {
    if (widthOf(taken + character) > width) break;
    taken += character;
  }
  return taken;
}

/** The lines of a text wrapped to a width: at blanks, and within words that are wider. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/[ \n]/)) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
      continue;
    }
    let left = word;
    while (widthOf(left) > width) {
      // A character wider than the column is kept whole.
      const part = leading(left, width) || String.fromCodePoint(left.codePointAt(0) ?? 0);
      lines.push(part);
      left = left.slice(part.length);
    }
    lines.push(left);
  }
  return lines;
}
