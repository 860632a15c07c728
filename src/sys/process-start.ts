import { readFileSync } from 'node:fs';

/**
 * When a process started, in clock ticks since the machine booted, in digits: together with its number it identifies a
 * process, since numbers are reused. proc(5), starttime
 * @returns undefined if there is no such process, or /proc is not mounted
 */
export function processStart(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the name in parentheses, which may contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  // A process that nobody has waited for has ended, and has closed its files.
  return state === 'Z' || state === 'X' ? undefined : fields[STARTTIME - 3];
}

/** The number of the field; the first one in the text after the name is the third. */
const STARTTIME = 22;
