/**
 * The grammar of arguments after a command's name: at most one operand, then keywords with their values in any order.
 */
import { StricterError, UsageError } from './error.js';

/** What a shell can complete: something on the machine, a check of devices, or one of these words. */
export type CompletionKind = 'device' | 'management device' | 'file' | 'check' | readonly string[];

/** A keyword of an argument, and how to parse its value. */
export interface Keyword<T> {
  /** The value in usage lines: `NAME`. Absent for a keyword without a value. */
  readonly placeholder?: string;
  /** Reads the value. @throws UsageError if it is invalid, StricterError if iproute2 would accept it */
  readonly read: (text: string) => T;
  /** Any prefix of the keyword stands for it, as with iproute2's matches(). */
  readonly abbreviable?: boolean;
  /** The message if the keyword is missing; makes it required. */
  readonly missing?: string;
  /** The kind of value, for completions. */
  readonly completes?: CompletionKind;
  /** One sentence for the command's help, without a full stop. */
  readonly help?: string;
}

export type Keywords = Readonly<Record<string, Keyword<unknown>>>;

/** The values that were given, by keyword. */
export type Values<K extends Keywords> = {
  -readonly [W in keyof K as K[W] extends { missing: string } ? W : never]: ReturnType<K[W]['read']>;
} & {
  -readonly [W in keyof K as K[W] extends { missing: string } ? never : W]?: ReturnType<K[W]['read']>;
};

/** Whether a word is a prefix of `full`: iproute2's matches(), where the empty word matches nothing. */
export function isPrefix(word: string, full: string): boolean {
  return word !== '' && full.startsWith(word);
}

/**
 * Reads keywords and their values; the last one of several wins.
 *
 * Errors of iproute2 are found in its order and have its messages. iproute2 ignores a last keyword without its value,
 * and accepts some values that make no sense: these are rejected only if there is no other error.
 * @throws UsageError for an unknown or missing keyword, and an invalid or missing value
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
  // Each value was read by its keyword, and the required ones are there: TypeScript cannot follow a loop over keys.
  return values as Values<K>;
}

/** The keyword that a word stands for: the first that matches, in the order of iproute2. */
export function findKeyword<K extends Keywords>(keywords: K, arg: string): [string, K[keyof K]] | undefined {
  for (const full in keywords) {
    const keyword = keywords[full];
    if (keyword && (keyword.abbreviable === true ? isPrefix(arg, full) : arg === full)) return [full, keyword];
  }
  return undefined;
}

/**
 * Reads the only argument of a command.
 * @throws UsageError if there are more, or it is invalid
 */
export function parseOperand<T>(read: (text: string) => T, [arg, ...more]: readonly string[]): T | undefined {
  const value = arg === undefined ? undefined : read(arg);
  expectNoMore(more);
  return value;
}

/** Rejects superfluous arguments. @throws UsageError */
export function expectNoMore(args: readonly string[]): void {
  parseKeywords({}, args);
}
