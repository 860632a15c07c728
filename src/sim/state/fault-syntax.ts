/** The syntax of VDPA_SIM_FAULTS: `dev add errno ENOSPC message "no room" times 1; dev show delay 200`. */
import { isErrnoName } from '../../sys/errno.js';
import { SimulationError } from '../error.js';
import { faultCommands } from './fault.js';
import type { Fault, FaultCommand } from './fault.js';

const isFaultCommand = (text: string): text is FaultCommand => Object.hasOwn(faultCommands, text);
const commands = Object.keys(faultCommands).filter(isFaultCommand);
const numbers = ['skip', 'times', 'delay', 'after'] as const;
const texts = ['device', 'mgmtdev', 'message'] as const;

/**
 * Parses faults, separated by semicolons: each is a command followed by keywords in any order, those of
 * schemas/fault.schema.json. Values may be in single or double quotes.
 * @throws SimulationError for an invalid fault
 */
export function parseFaults(text: string): Fault[] {
  return split(text).flatMap((words) => (words.length === 0 ? [] : [parseFault(words)]));
}

function parseFault(words: readonly string[]): Fault {
  const command = commands.find((candidate) => candidate.split(' ').every((word, at) => words[at] === word));
  if (command === undefined) {
    throw new SimulationError(`Invalid VDPA_SIM_FAULTS "${words.join(' ')}": expected one of ${commands.join(', ')}`);
  }
  const fault: { -readonly [Key in keyof Fault]: Fault[Key] } = { command };
  const rest = words.slice(command.split(' ').length);
  while (rest.length > 0) readKeyword(fault, rest);
  return fault;
}

/** Removes one keyword and its value from the words. */
function readKeyword(fault: { -readonly [Key in keyof Fault]: Fault[Key] }, words: string[]): void {
  const keyword = words.shift() ?? '';
  if (keyword === 'vanish') {
    fault.vanish = true;
    return;
  }
  const value = words.shift();
  const number = numbers.find((name) => name === keyword);
  const text = texts.find((name) => name === keyword);
  if (value === undefined)
    throw new SimulationError(`Invalid VDPA_SIM_FAULTS: "${keyword}" is not a keyword, or its value is missing`);
  if (number !== undefined) {
    if (!/^[0-9]{1,9}$/.test(value))
      throw new SimulationError(`Invalid VDPA_SIM_FAULTS: ${keyword} "${value}" is not a number`);
    fault[number] = Number(value);
  } else if (text !== undefined) {
    fault[text] = value;
  } else if (keyword === 'errno') {
    if (!isErrnoName(value))
      throw new SimulationError(`Invalid VDPA_SIM_FAULTS: unknown error "${value}"; expected a name such as ENOSPC`);
    fault.errno = value;
  } else {
    throw new SimulationError(
      `Invalid VDPA_SIM_FAULTS: unknown keyword "${keyword}"; expected errno, ${[...texts, ...numbers].join(', ')}, vanish`,
    );
  }
}

/** A list of words for each fault. */
function split(text: string): string[][] {
  const lists: string[][] = [[]];
  const pattern = /"([^"]*)"|'([^']*)'|(;)|([^\s;"']+)|(["'])/g;
  for (const [, double, single, semicolon, plain, stray] of text.matchAll(pattern)) {
    if (stray !== undefined) throw new SimulationError(`Invalid VDPA_SIM_FAULTS: unterminated quote ${stray}`);
    if (semicolon !== undefined) lists.push([]);
    else lists.at(-1)?.push(double ?? single ?? plain ?? '');
  }
  return lists;
}
