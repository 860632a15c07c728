/** Waits that a signal ends early, and that have a time limit. */

/** How long to wait, at most. */
export interface WaitOptions {
  /** Ends the wait early: what is awaited rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Time limit in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Settles as the promise does, or rejects with the reason of the signal if that is aborted first. What the promise
 * stands for goes on nevertheless.
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
