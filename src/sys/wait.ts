/** Waiting with a time limit and an AbortSignal. */
import { Errno } from './errno.js';
import { SystemError } from './error.js';

/** How long to wait, at most. */
export interface WaitOptions {
  /** Ends the wait early: what is awaited rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Time limit in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Settles as the promise does, or rejects with the reason of the signal if that is aborted first. The operation itself
 * continues.
 */
export async function abortable<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', stop, { once: true });
  });
  const rejection = aborted.then(() => {
    signal.throwIfAborted();
    return promise;
  });
  try {
    return await Promise.race([rejection, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** The reason of an aborted signal, as an error. */
export function abortReason({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Sleeps, unless a signal is aborted: then it rejects with the reason of the signal. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    await abortable(elapsed, signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Settles as the promise does, within a time limit and until a signal is aborted. The operation itself continues.
 * @param operation names it in the error
 * @throws SystemError ETIMEDOUT after the time limit; the reason of the signal
 */
export async function within<Result>(
  promise: Promise<Result>,
  { signal, timeoutMs }: WaitOptions,
  operation: string,
): Promise<Result> {
  if (timeoutMs === undefined) return abortable(promise, signal);
  const expired = new AbortController();
  const timer = setTimeout(() => {
    const hint = `It was not done within ${timeoutMs / 1000} s`;
    expired.abort(new SystemError({ operation, errno: Errno.ETIMEDOUT, hint }));
  }, timeoutMs);
  try {
    return await abortable(promise, signal ? AbortSignal.any([signal, expired.signal]) : expired.signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Starts something, like {@link within}. If it is ready only after that, it is undone.
 * @throws errors of starting; SystemError ETIMEDOUT after the time limit; the reason of the signal
 */
export async function startWithin<Result>(
  start: () => Promise<Result>,
  undo: (result: Result) => Promise<unknown>,
  options: WaitOptions,
  operation: string,
): Promise<Result> {
  options.signal?.throwIfAborted();
  let isLate = false;
  const starting = start().then(async (result) => {
    if (isLate) await undo(result);
    return result;
  });
  try {
    return await within(starting, options, operation);
  } catch (error) {
    isLate = true;
    starting.catch(() => undefined);
    throw error;
  }
}
