/** Which process has the file of a VDUSE instance open: the kernel lets one, its server. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { devicePath } from '../kernel/name.js';

/** The process that serves an instance. */
export interface ServingProcess {
  readonly pid: number;
  readonly command: string;
  /** A signal or a debugger has stopped it: it answers the kernel nothing. */
  readonly stopped: boolean;
}

/**
 * Looks for it in /proc.
 * @returns undefined where there is none, or none that this user may look at
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
      // It has ended meanwhile, or is another user's.
    }
  }
  return undefined;
}

/** A descriptor may be closed while the others are looked at. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function describe(pid: number): ServingProcess {
  // The command's name is in parentheses, and may have any character in it.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const end = stat.lastIndexOf(')');
  const state = stat.slice(end + 2, end + 3);
  return { pid, command: stat.slice(stat.indexOf('(') + 1, end), stopped: state === 'T' || state === 't' };
}
