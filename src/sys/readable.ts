import { EPOLLIN, EventPoll } from './events.js';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

let poll: EventPoll | undefined;
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
  return new Promise((resolve, reject) => {
    poll ??= new EventPoll();
    poll.add(fd, EPOLLIN, fd);
    waiting.set(fd, { resolve, reject });
    if (!running) void run(poll);
  });
}

async function run(events: EventPoll): Promise<void> {
  running = true;
  try {
    while (waiting.size > 0) {
      await events.waitAsync(-1);
      for (let index = 0; index < events.count; index++) settle(events, events.tag(index));
    }
  } catch (error) {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    events.close();
    poll = undefined;
  } finally {
    running = false;
  }
}

function settle(events: EventPoll, fd: number): void {
  events.remove(fd);
  const waiter = waiting.get(fd);
  waiting.delete(fd);
  waiter?.resolve();
}
