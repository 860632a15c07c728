/** Signals that stop a command, for commands that must complete a step first. */
import { constants } from 'node:os';
import { InterruptedError } from './error.js';

const ending = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a task that must not be killed. The first signal aborts the AbortSignal of the task, with an InterruptedError as
 * its reason; further ones have no effect.
 */
export async function withSignals<Result>(task: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const onSignal = (signal: (typeof ending)[number]): void => {
    controller.abort(new InterruptedError(signal, constants.signals[signal]));
  };
  for (const signal of ending) process.on(signal, onSignal);
  try {
    return await task(controller.signal);
  } finally {
    for (const signal of ending) process.off(signal, onSignal);
  }
}
