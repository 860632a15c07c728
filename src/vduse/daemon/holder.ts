/** Finds the process that has the file of a VDUSE instance open: the kernel permits only one, its server. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { devicePath } from '../kernel/name.js';

/** The process that serves an instance. */
export interface ServingProcess {
  readonly pid: number;
  readonly command: string;
  /** It was stopped by a signal or a debugger, and does not answer the kernel. */
  readonly stopped: boolean;
}

/**
 * Searches /proc for it.
 * @returns undefined if there is none, or none that this user may see
 * @throws DeviceNameError
 */
export function findServingProcess(name: string): ServingProcess | undefined {
  const target = devicePath(name);
  for (const pid of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const folder = `/proc/${pid}/fd`;
    try {
      if (readdirSync(folder).some((fd) => readLink(`${folder}/${fd}`) === target)) return describe(Number(pid));
    } catch {
      // It has ended in the meantime, or belongs to another user.
    }
  }
  return undefined;
}

/** A descriptor may be closed while the others are read. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function describe(pid: number): ServingProcess {
  // The command name is in parentheses, and may contain any character.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const end = stat.lastIndexOf(')');
  const state = stat.slice(end + 2, end + 3);
  return { pid, command: stat.slice(stat.indexOf('(') + 1, end), stopped: state === 'T' || state === 't' };
}
