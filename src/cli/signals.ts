/** Signals that stop a command, for commands that must complete a step first. */
import { constants } from 'node:os';
import { InterruptedError } from './error.js';

const ending = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a task that must not be killed. The first signal aborts the AbortSignal of the task; further ones have no
 * effect.
 * @returns the result of the task, and the signal that interrupted it
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
