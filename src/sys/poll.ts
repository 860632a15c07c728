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

/** The longest timeout of poll(2), in milliseconds. */
const maxTimeoutMs = 0x7fff_ffff;

/**
 * Waits, blocking the thread, for `events` or an error on `fd`.
 * @param timeoutMs milliseconds, rounded up.
 * @returns the result of poll(2): 1 for an event, 0 for a timeout, -1 for an error (including EINTR).
 */
export function poll(fd: number, events: number, timeoutMs: number): number {
  return pollMany(pollEntry(fd, events), 1, pollTimeout(timeoutMs));
}

/** Memory used by calls on other threads: koffi does not keep it from being garbage-collected. */
const entriesInUse = new Set<Uint8Array>();

/**
 * The same on a thread of the pool, without blocking this one. The next call on `fd` returns the reason why it ended.
 */
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
