/** Signals that end a command, for those that have something to finish first. */
import { constants } from 'node:os';
import { InterruptedError } from './error.js';

const ending = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Does something that must not be cut off. The first signal aborts what the task is given, and nothing else; others do
 * nothing at all.
 * @returns what the task does, and how it was interrupted
 */
export async function withSignals<Result>(
  task: (signal: AbortSignal) => Promise<Result>,
): Promise<{ readonly result: Result; readonly interrupted?: InterruptedError }> {
  const controller = new AbortController();
  let interrupted: InterruptedError | undefined;
  const onSignal = (signal: (typeof ending)[number]): void => {
    interrupted ??= new InterruptedError(signal, constants.signals[signal]);
    controller.abort(interrupted);
  };
  for (const signal of ending) process.on(signal, onSignal);
  try {
    const result = await task(controller.signal);
    return { result, ...(interrupted && { interrupted }) };
  } finally {
    for (const signal of ending) process.off(signal, onSignal);
  }
}
