/** The grammar of what follows a command's name: at most one operand, then keywords with their values in any order. */
import { UsageError } from './error.js';

/** A word that names an argument, and how to read the word behind it. */
export interface Keyword<T> {
  /** How usage lines write the value: `NAME`. Absent for a word that stands alone. */
  readonly placeholder?: string;
  /** Reads the value. @throws UsageError if it cannot be one */
  readonly read: (text: string) => T;
  /** Any beginning of the word stands for it, as iproute2's matches() has it. */
  readonly abbreviable?: boolean;
  /** What is said where the keyword is missing; makes it required. */
  readonly missing?: string;
}

export type Keywords = Readonly<Record<string, Keyword<unknown>>>;

/** The values that were given, by keyword. */
export type Values<K extends Keywords> = {
  -readonly [W in keyof K as K[W] extends { missing: string } ? W : never]: ReturnType<K[W]['read']>;
} & {
  -readonly [W in keyof K as K[W] extends { missing: string } ? never : W]?: ReturnType<K[W]['read']>;
};

/** Whether a word is a beginning of `full`: iproute2's matches(), for which nothing matches the empty word. */
export function isPrefix(word: string, full: string): boolean {
  return word !== '' && full.startsWith(word);
}

/**
 * Reads keywords and their values; where one is given twice the last counts.
 *
 * iproute2 tests for required keywords before it would notice a last word without a partner, and never notices it;
 * here it is refused, but after that same test, so that what iproute2 refuses is refused in the same words.
 * @throws UsageError for a word that is no keyword, a required keyword that is missing, a value that cannot be read or is missing
 */
export function parseKeywords<K extends Keywords>(keywords: K, words: readonly string[]): Values<K> {
  const values: Record<string, unknown> = {};
  let unpaired: { word: string; known: boolean } | undefined;
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    const last = at === words.length - 1;
    const found = Object.entries(keywords).find(([full, { abbreviable }]) =>
      abbreviable ? isPrefix(word, full) : word === full,
    );
    if (!found && !last) throw new UsageError(`Unknown option "${word}"`);
    const takesValue = found?.[1].placeholder !== undefined;
    if (!found || (takesValue && last)) {
      unpaired = { word, known: found !== undefined };
      break;
    }
    const [full, keyword] = found;
    values[full] = keyword.read(takesValue ? (words[at + 1] ?? '') : word);
    at += takesValue ? 2 : 1;
  }
  for (const [full, { missing }] of Object.entries(keywords)) {
    if (missing !== undefined && !Object.hasOwn(values, full)) throw new UsageError(missing);
  }
  if (unpaired) {
    const { word, known } = unpaired;
    throw new UsageError(known ? `Option "${word}" needs a value` : `Unknown option "${word}"`);
  }
  return values as Values<K>;
}

/** Refuses words where there is nothing left to say. @throws UsageError */
export function expectNoMore(words: readonly string[]): void {
  parseKeywords({}, words);
}
