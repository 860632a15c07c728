/** The grammar of what follows a command's name: at most one operand, then keywords with their values in any order. */
import { StricterError, UsageError } from './error.js';

/** What a word can be, as far as a shell can complete it: something of the machine, or one of these words. */
export type CompletionKind = 'device' | 'management device' | 'file' | readonly string[];

/** A keyword of an argument, and how to parse its value. */
export interface Keyword<T> {
  /** How usage lines write the value: `NAME`. Absent for a word that stands alone. */
  readonly placeholder?: string;
  /** Reads the value. @throws UsageError if it cannot be one, StricterError if iproute2 would take it */
  readonly read: (text: string) => T;
  /** Any beginning of the word stands for it, as iproute2's matches() has it. */
  readonly abbreviable?: boolean;
  /** What is said where the keyword is missing; makes it required. */
  readonly missing?: string;
  /** What the value can be, for completions. */
  readonly completes?: CompletionKind;
  /** One sentence for the command's help, without its full stop. */
  readonly help?: string;
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
 * What iproute2 refuses is refused in its order and its words. It never notices a last word without a partner, and takes
 * some values that cannot be meant: those are refused when all else is well.
 * @throws UsageError for a word that is no keyword, a required keyword that is missing, a value that cannot be read or is missing
 */
export function parseKeywords<K extends Keywords>(keywords: K, args: readonly string[]): Values<K> {
  const values: Record<string, unknown> = {};
  let stricter: StricterError | undefined;
  for (let at = 0; at < args.length;) {
    const arg = args[at] ?? '';
    const isLast = at === args.length - 1;
    const found = findKeyword(keywords, arg);
    if (!found && !isLast) throw new UsageError(`Unknown option "${arg}"`);
    const takesValue = found?.[1].placeholder !== undefined;
    if (!found || (takesValue && isLast)) {
      stricter ??= new StricterError(found ? `Option "${arg}" requires a value` : `Unknown option "${arg}"`);
      break;
    }
    const [full, keyword] = found;
    try {
      values[full] = keyword.read(takesValue ? (args[at + 1] ?? '') : arg);
    } catch (error) {
      if (!(error instanceof StricterError)) throw error;
      stricter ??= error;
      values[full] = undefined;
    }
    at += takesValue ? 2 : 1;
  }
  for (const [full, { missing }] of Object.entries(keywords)) {
    if (missing !== undefined && !Object.hasOwn(values, full)) throw new UsageError(missing);
  }
  if (stricter) throw stricter;
  return values as Values<K>;
}

/** The keyword that a word stands for: the first that matches, as iproute2 tries one after the other. */
export function findKeyword<K extends Keywords>(keywords: K, arg: string): [string, K[keyof K]] | undefined {
  return (Object.entries(keywords) as [string, K[keyof K]][]).find(([full, { abbreviable }]) =>
    abbreviable ? isPrefix(arg, full) : arg === full,
  );
}

/**
 * Reads the one word that may follow a command.
 * @throws UsageError where there are more, or it cannot be read
 */
export function parseOperand<T>(read: (text: string) => T, [arg, ...more]: readonly string[]): T | undefined {
  const value = arg === undefined ? undefined : read(arg);
  expectNoMore(more);
  return value;
}

/** Refuses words where there is nothing left to say. @throws UsageError */
export function expectNoMore(args: readonly string[]): void {
  parseKeywords({}, args);
}
