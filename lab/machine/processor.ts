import { readFileSync } from 'node:fs';

/** How many guests of this process run on each processor. */
const guests = new Map<number, number>();

/** A processor of the host, reserved for one guest. */
export interface Processor {
  readonly number: number;
  readonly release: () => void;
}

/**
 * Takes a processor for a guest: any of those with the fewest guests of this process.
 *
 * A guest's kernel and its processes are processes of the host that run in turn, never two at the same time, and switch at each
 * system call and page fault. Switching between processors takes more than twice as long.
 */
export function takeProcessor(): Processor {
  const allowed = allowedProcessors();
  const fewest = Math.min(...allowed.map(guestsOn));
  const candidates = allowed.filter((number) => guestsOn(number) === fewest);
  // Processes that boot guests at the same time should not all take the same one.
  const number = candidates[Math.floor(Math.random() * candidates.length)] ?? 0;
  guests.set(number, guestsOn(number) + 1);
  return {
    number,
    release: () => {
      guests.set(number, guestsOn(number) - 1);
    },
  };
}

const guestsOn = (number: number): number => guests.get(number) ?? 0;

/** The processors that this process may run on: `Cpus_allowed_list` in proc(5), such as `0-3,6`. */
function allowedProcessors(): number[] {
  const [, list = '0'] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
