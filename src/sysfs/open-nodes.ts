/** Finds the processes that have device nodes open, in /proc. */
import { constants } from 'node:fs';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { DeviceNumber, MachineFiles } from './machine-files.js';

/** A process that has a device node open. */
export interface Opener {
  readonly pid: number;
  /** Its name, of up to 15 bytes: proc(5), comm. */
  readonly command: string;
  /** It is stopped by SIGSTOP or a debugger, and does not respond. */
  readonly stopped: boolean;
}

/** All open device nodes. /proc is read once, on the first query. */
export class OpenNodes {
  readonly #files: MachineFiles;
  #openers: ReadonlyMap<string, readonly Opener[]> | undefined;

  constructor(files: MachineFiles) {
    this.#files = files;
  }

  /**
   * The processes that have a node open, each once. Processes in an outer PID namespace, and those that this process
   * may not inspect, are not visible.
   * @throws SystemError if /proc cannot be read
   */
  openersOf(node: string): readonly Opener[] {
    const device = this.#files.deviceNumber(node);
    if (device === undefined) return [];
    this.#openers ??= this.#scan();
    return this.#openers.get(keyOf(device)) ?? [];
  }

  #scan(): ReadonlyMap<string, readonly Opener[]> {
    const openers = new Map<string, Opener[]>();
    for (const pid of this.#files.list('/proc').filter((name) => /^[0-9]+$/.test(name))) {
      let opener: Opener | undefined;
      for (const key of this.#openBy(pid)) {
        opener ??= this.#opener(pid);
        const others = openers.get(key);
        if (others) others.push(opener);
        else openers.set(key, [opener]);
      }
    }
    return openers;
  }

  #openBy(pid: string): ReadonlySet<string> {
    const keys = new Set<string>();
    for (const fd of this.#descriptors(pid)) {
      const path = `/proc/${pid}/fd/${fd}`;
      // Only device nodes are checked: stat(2) of a file on a dead network file system would hang.
      if (this.#files.link(path)?.startsWith('/dev/') !== true) continue;
      const device = this.#files.deviceNumber(path);
      if (device !== undefined) keys.add(keyOf(device));
    }
    return keys;
  }

  /** The open files of a process; none if this process may not inspect it. */
  #descriptors(pid: string): string[] {
    try {
      return this.#files.list(`/proc/${pid}/fd`);
    } catch (error) {
      if (error instanceof SystemError && (error.errno === Errno.EACCES || error.errno === Errno.EPERM)) return [];
      throw error;
    }
  }

  #opener(pid: string): Opener {
    const command = this.#files.text(`/proc/${pid}/comm`) ?? '';
    const state = /^State:\s*(\S)/m.exec(this.#files.text(`/proc/${pid}/status`) ?? '')?.[1];
    return { pid: Number(pid), command, stopped: state === 'T' || state === 't' };
  }
}

function keyOf({ kind, major, minor }: DeviceNumber): string {
  return `${kind} ${major}:${minor}`;
}

/**
 * Opens a node and closes it again: for some nodes the kernel answers EBUSY if they are in use.
 * @returns `unknown` if it cannot be opened for another reason, such as missing privileges
 */
export function probeNode(files: MachineFiles, node: string, flags: number): 'free' | 'taken' | 'unknown' {
  try {
    files.touch(`open ${node}`, node, flags | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    return 'free';
  } catch (error) {
    if (error instanceof SystemError) return error.errno === Errno.EBUSY ? 'taken' : 'unknown';
    throw error;
  }
}
