/** Options, which may appear anywhere on the line, parsed like iproute2 does with glibc's getopt_long(). */
import { UsageError } from './error.js';
import { mainHelp } from './help.js';
import { optionTable, type OptionName, type OptionSpec } from './option-table.js';

/** When colors are used: `forced` is an explicit `-c=always`, which NO_COLOR does not override. */
export type ColorChoice = 'never' | 'auto' | 'always' | 'forced';

/** The options of a line. */
export interface Options {
  readonly json: boolean;
  readonly pretty: boolean;
  /** Use the simulated kernel. */
  readonly sim: boolean;
  /** Also show what sysfs reports. */
  readonly details: boolean;
  /** Print the time before each event. */
  readonly timestamp: boolean;
  /** Repeat the output. */
  readonly watch: boolean;
  /** Show lists as tables. */
  readonly table: boolean;
  /** Print every netlink message to stderr. */
  readonly trace: boolean;
  readonly color: ColorChoice;
  /** An output format other than text and JSON, by name. */
  readonly output?: string;
  /** The number of arguments after `--`; absent without it. */
  readonly literal?: number;
}

/** A line after its options were removed. */
export type ParsedLine =
  | { readonly kind: 'command'; readonly options: Options; readonly args: readonly string[] }
  /** The lines of a file; `force` continues after a line that fails. */
  | { readonly kind: 'batch'; readonly options: Options; readonly file: string; readonly force: boolean }
  | { readonly kind: 'version' }
  /** The help of what the arguments name. */
  | { readonly kind: 'help'; readonly args: readonly string[] };

/** An option on the line. */
export interface FoundOption {
  readonly name: OptionName;
  readonly value?: string | undefined;
}

/** The values of -c. */
export const colorChoices = ['always', 'auto', 'never'] as const;

/**
 * Removes the options from a line, in order, wherever they are; everything after `--` is kept. Short ones may be
 * combined (`-jp`), long ones abbreviated (`--js`), and as in the usage of iproute2 one dash is enough (`-json`).
 * @param base the defaults
 * @throws UsageError for an unknown option
 */
export function parseOptions(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  base: Options = defaultOptions(env),
): ParsedLine {
  const args: string[] = [];
  const options: { -readonly [Name in keyof Options]: Options[Name] } = { ...base };
  delete options.literal;
  let batch: string | undefined;
  let force = false;
  let help = false;
  const left = [...argv];
  for (let argument = left.shift(); argument !== undefined; argument = left.shift()) {
    if (argument === '--') {
      options.literal = left.length;
      args.push(...left);
      break;
    }
    if (!isOption(argument)) {
      // POSIX: options end at the first argument that is not an option.
      if (env['POSIXLY_CORRECT'] !== undefined) {
        args.push(argument, ...left);
        break;
      }
      args.push(argument);
      continue;
    }
    try {
      for (const { name, value } of readOption(argument, left)) {
        switch (name) {
          case 'Version':
            if (!help) return { kind: 'version' };
            break;
          case 'help':
            help = true;
            break;
          case 'no-nice-names':
            // Advertised by iproute2, but without effect there.
            break;
          case 'color':
            options.color = readColor(value);
            break;
          case 'output':
            options.output = value ?? '';
            break;
          case 'batch':
            batch = value ?? '';
            break;
          case 'force':
            force = true;
            break;
          default:
            options[name] = true;
        }
      }
    } catch (error) {
      // Help is printed whatever else is wrong with the line.
      if (!help || !(error instanceof UsageError)) throw error;
    }
  }
  if (help) return { kind: 'help', args };
  if (batch === undefined) return { kind: 'command', options, args };
  if (args.length > 0)
    throw new UsageError(`-b reads its commands from a file: unexpected argument "${args.join(' ')}"`);
  return { kind: 'batch', options, file: batch, force };
}

function defaultOptions(env: NodeJS.ProcessEnv): Options {
  return {
    json: false,
    pretty: false,
    sim: isSet(env['VDPA_SIM']),
    details: false,
    timestamp: false,
    watch: false,
    table: false,
    trace: isSet(env['VDPA_TRACE']),
    color: 'never',
  };
}

/** Whether an argument is an option, or several; a single dash is not. */
function isOption(argument: string): boolean {
  return argument.startsWith('-') && argument !== '-';
}

/**
 * The options that one argument names; a required value may be the first one of `left`, and is removed there.
 * @throws UsageError for an unknown option, or one without its value
 */
export function* readOption(argument: string, left: string[]): Generator<FoundOption> {
  if (argument.startsWith('--')) {
    yield findLong(argument.slice(2), argument, left);
    return;
  }
  const [word, value] = splitOnce(argument.slice(1), '=');
  const single =
    word.length > 1 || value !== undefined ? optionTable.find(({ name }) => name.startsWith(word)) : undefined;
  if (single && (value === undefined || single.value !== undefined)) {
    yield withValue(single, value, left, `option '${argument}' requires an argument`);
    return;
  }
  let joined = argument.slice(1);
  for (const letter of joined) {
    joined = joined.slice(letter.length);
    const found = optionTable.find(({ short }) => short === letter);
    // iproute2 passes -s to getopt, which then accepts it, but does not handle it.
    if (!found) throw unknownOption(...(letter === 's' ? [] : [`vdpa: invalid option -- '${letter}'`]));
    if (found.value === 'required') {
      yield withValue(found, joined === '' ? undefined : joined, left, `option requires an argument -- '${letter}'`);
      return;
    }
    yield { name: found.name };
  }
}

function findLong(text: string, argument: string, left: string[]): FoundOption {
  const [name, value] = splitOnce(text, '=');
  const exact = optionTable.find((known) => known.name === name);
  const candidates = exact ? [exact] : optionTable.filter((known) => known.name.startsWith(name));
  const [found] = candidates;
  if (!found) throw unknownOption(`vdpa: unrecognized option '${argument}'`);
  if (candidates.length > 1) {
    const possibilities = candidates.map((known) => ` '--${known.name}'`).join('');
    throw unknownOption(`vdpa: option '${argument}' is ambiguous; possibilities:${possibilities}`);
  }
  if (value !== undefined && found.value === undefined)
    throw unknownOption(`vdpa: option '--${found.name}' doesn't allow an argument`);
  return withValue(found, value, left, `option '--${found.name}' requires an argument`);
}

function withValue(
  { name, value: needs }: OptionSpec,
  value: string | undefined,
  left: string[],
  complaint: string,
): FoundOption {
  if (needs !== 'required' || value !== undefined) return { name, value };
  const next = left.shift();
  if (next === undefined) throw unknownOption(`vdpa: ${complaint}`);
  return { name, value: next };
}

/** `-c` alone means always, as with `ip`. */
function readColor(value: string | undefined): ColorChoice {
  switch (value) {
    case undefined:
      return 'always';
    case 'always':
      return 'forced';
    case 'auto':
    case 'never':
      return value;
    default:
      throw new UsageError(`Invalid color "${value}": expected always, auto or never`);
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function unknownOption(...lines: string[]): UsageError {
  return new UsageError(...lines, 'Unknown option.', ...mainHelp());
}

/** Whether an environment variable enables something: set, and not 0. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0';
}
