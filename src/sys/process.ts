import { libc } from './libc.js';

/** _exit(2): ends the process immediately, whatever its other threads do. */
export const exitNow: (status: number) => void = libc.func('void _exit(int status)');

/** sched_yield(2): yields the processor to other threads, if any want it. */
export const yieldProcessor: () => number = libc.func('int sched_yield()');
