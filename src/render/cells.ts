/** Text in columns of a terminal: East Asian characters take two of them, combining ones none. */
import stringWidth from 'string-width';

/** Text in which every character takes its place: a control character in a name would tear a table, or move the cursor. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}

/** How many columns a text without control characters takes. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** The text and as many blanks after it, or before it, as make it so wide. */
export function padded(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return side === 'left' ? text + blanks : blanks + text;
}

/** As much of a text as takes at most so many columns. */
export function leading(text: string, width: number): string {
  let taken = '';
  for (const character of text) {
    if (widthOf(taken + character) > width) break;
    taken += character;
  }
  return taken;
}

/** The lines of a text, each at most so wide: broken at blanks, and in a word that is wider than that. */
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
      // A character that is wider than the column stays whole.
      const part = leading(left, width) || String.fromCodePoint(left.codePointAt(0) ?? 0);
      lines.push(part);
      left = left.slice(part.length);
    }
    lines.push(left);
  }
  return lines;
}
