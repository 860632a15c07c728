import { EPOLLET, EPOLLIN, EventPoll, openEventfd, signalEventfd } from './events.js';
import { close } from './libc.js';
import { abortReason } from './wait.js';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

let poll: EventPoll | undefined;
/** Wakes the thread of the pool after a wait was given up. */
let wake: number | undefined;
const waiting = new Map<number, Waiter>();
let running = false;

/**
 * Resolves when a descriptor is readable, without blocking this thread. Only one caller may wait for a descriptor.
 *
 * All callers share one thread of the pool, which has four by default: with one thread each, a process with four
 * devices would have none left to read a file.
 * @throws SystemError
 */
export function readable(fd: number): Promise<void> {
  return ready(fd, EPOLLIN);
}

/**
 * The same for other events.
 * @param events EPOLLIN, EPOLLOUT
 * @param signal gives the wait up: it rejects with the reason of the signal
 * @throws SystemError
 */
export function ready(fd: number, events: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const current = (poll ??= new EventPoll());
    current.add(fd, events, fd);
    const giveUp = (): void => {
      current.remove(fd);
      waiting.delete(fd);
      wakeUp(current);
      if (signal) reject(abortReason(signal));
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    const settled = (): void => signal?.removeEventListener('abort', giveUp);
    waiting.set(fd, {
      resolve: () => {
        settled();
        resolve();
      },
      reject: (reason) => {
        settled();
        reject(reason);
      },
    });
    if (!running) void run(current);
  });
}

/** Lets {@link run} look whether anything is left to wait for. */
function wakeUp(events: EventPoll): void {
  if (wake === undefined) {
    wake = openEventfd();
    events.add(wake, EPOLLIN | EPOLLET, wake);
  }
  signalEventfd(wake);
}

/** Waits as long as there is something to wait for, and leaves no descriptor open. */
async function run(events: EventPoll): Promise<void> {
  running = true;
  try {
    while (waiting.size > 0) {
      await events.waitAsync(-1);
      for (let index = 0; index < events.count; index++) settle(events, events.tag(index));
    }
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  } finally {
    running = false;
    events.close();
    poll = undefined;
    if (wake !== undefined) close(wake);
    wake = undefined;
  }
}

/** An event may be that of a wait that was given up. */
function settle(events: EventPoll, fd: number): void {
  const waiter = waiting.get(fd);
  if (waiter === undefined) return;
  events.remove(fd);
  waiting.delete(fd);
  waiter.resolve();
}
