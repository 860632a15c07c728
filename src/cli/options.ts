/** Options: what may stand anywhere on the line, read as glibc's getopt_long reads it for iproute2. */
import { UsageError } from './error.js';
import { mainHelp } from './help.js';

/** What the options of a line say. */
export interface Options {
  readonly json: boolean;
  readonly pretty: boolean;
  /** Talk to the simulated kernel. */
  readonly sim: boolean;
}

/** A line after its options were taken out. */
export type ParsedLine =
  | { readonly kind: 'command'; readonly options: Options; readonly words: readonly string[] }
  | { readonly kind: 'version' }
  | { readonly kind: 'help' };

type OptionName = 'Version' | 'json' | 'pretty' | 'help' | 'no-nice-names' | 'sim';

/** Every option by its long name, with its short one where it has one. */
const optionNames: readonly (readonly [name: OptionName, short: string | undefined])[] = [
  ['Version', 'V'],
  ['json', 'j'],
  ['pretty', 'p'],
  ['help', 'h'],
  ['no-nice-names', 'n'],
  ['sim', undefined],
];

/**
 * Takes the options out of a line, in order, wherever they stand; what follows `--` is not looked at.
 * Short ones may be joined (`-jp`), long ones shortened (`--js`), and iproute2's usage also writes them with one dash
 * (`-json`).
 * @throws UsageError for an option that there is not
 */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): ParsedLine {
  const words: string[] = [];
  const options = { json: false, pretty: false, sim: isSet(env['VDPA_SIM']) };
  for (const [index, argument] of argv.entries()) {
    if (argument === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      // POSIX: options end at the first word that is none.
      if (env['POSIXLY_CORRECT'] !== undefined) {
        words.push(...argv.slice(index));
        break;
      }
      words.push(argument);
      continue;
    }
    for (const name of readOption(argument)) {
      switch (name) {
        case 'Version':
          return { kind: 'version' };
        case 'help':
          return { kind: 'help' };
        case 'no-nice-names':
          // Advertised by iproute2, and without a meaning: vdpa has no names that are not nice.
          break;
        default:
          options[name] = true;
      }
    }
  }
  return { kind: 'command', options, words };
}

/** The options that one argument names. */
function* readOption(argument: string): Generator<OptionName> {
  if (argument.startsWith('--')) {
    yield findLong(argument.slice(2), argument);
    return;
  }
  const single = argument.length > 2 ? optionNames.find(([name]) => name.startsWith(argument.slice(1))) : undefined;
  if (single) {
    yield single[0];
    return;
  }
  for (const letter of argument.slice(1)) {
    const found = optionNames.find(([, short]) => short === letter);
    if (!found) throw unknownOption(`vdpa: invalid option -- '${letter}'`);
    yield found[0];
  }
}

function findLong(text: string, argument: string): OptionName {
  const [name, value] = splitOnce(text, '=');
  const exact = optionNames.find(([known]) => known === name);
  const candidates = exact ? [exact] : optionNames.filter(([known]) => known.startsWith(name));
  const [found] = candidates;
  if (!found) throw unknownOption(`vdpa: unrecognized option '${argument}'`);
  if (candidates.length > 1) {
    const possibilities = candidates.map(([known]) => ` '--${known}'`).join('');
    throw unknownOption(`vdpa: option '${argument}' is ambiguous; possibilities:${possibilities}`);
  }
  if (value !== undefined) throw unknownOption(`vdpa: option '--${found[0]}' doesn't allow an argument`);
  return found[0];
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function unknownOption(line: string): UsageError {
  return new UsageError(line, 'Unknown option.', ...mainHelp);
}

/** Whether an environment variable switches something on: set, and not to 0. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0';
}
