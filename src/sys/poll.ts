import { libc } from './libc.js';

/** Events of poll(2), from asm-generic/poll.h. */
export const POLLIN = 0x1;
export const POLLOUT = 0x4;

const pollMany: ((entries: Uint8Array, count: number, timeoutMs: number) => number) & {
  readonly async: (
    entries: Uint8Array,
    count: number,
    timeoutMs: number,
    done: (error: Error | null, result: number) => void,
  ) => void;
} = libc.func('int poll(void *fds, unsigned long nfds, int timeout)');

/** The longest time poll(2) takes, in milliseconds. */
const maxTimeoutMs = 0x7fff_ffff;

/**
 * Waits, blocking the thread, until `events` or an error come to `fd`.
 * @param timeoutMs milliseconds, rounded up.
 * @returns what poll(2) returns: 1 for an event, 0 for none in time, -1 for an error (EINTR too).
 */
export function poll(fd: number, events: number, timeoutMs: number): number {
  return pollMany(pollEntry(fd, events), 1, pollTimeout(timeoutMs));
}

/** The memory that calls on other threads use: koffi does not keep it from being collected. */
const entriesInUse = new Set<Uint8Array>();

/** The same on a thread of the pool: this one goes on. Why it ended is for the next call on `fd` to tell. */
export function pollAsync(fd: number, events: number, timeoutMs: number): Promise<void> {
  const entry = pollEntry(fd, events);
  entriesInUse.add(entry);
  return new Promise((resolve, reject) => {
    pollMany.async(entry, 1, pollTimeout(timeoutMs), (error) => {
      entriesInUse.delete(entry);
      if (error) reject(error);
      else resolve();
    });
  });
}

function pollEntry(fd: number, events: number): Uint8Array {
  // struct pollfd: int fd; short events; short revents; in the machine's byte order, as typed arrays write.
  const entry = new Uint8Array(8);
  new Int32Array(entry.buffer, 0, 1)[0] = fd;
  new Int16Array(entry.buffer, 4, 1)[0] = events;
  return entry;
}

function pollTimeout(timeoutMs: number): number {
  return Math.min(Math.ceil(timeoutMs), maxTimeoutMs);
}
