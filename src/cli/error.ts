/** The error message of a command that was rejected before anything was sent, line by line, without anything else. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';

  /** @param lines the text for stderr */
  constructor(...lines: string[]) {
    super(lines.join('\n'));
  }
}

/**
 * An error about input that iproute2 accepts. It is thrown only after everything that iproute2 rejects was checked, so
 * that a line that iproute2 rejects fails with the same message.
 */
export class StricterError extends UsageError {
  override readonly name = 'StricterError';
}

/** A command failed and already reported the error: only the exit status is left. */
export class ReportedError extends Error {
  override readonly name = 'ReportedError';
  /** The exit status. */
  readonly status: number;

  constructor(message?: string, { status = 1, ...options }: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = status;
  }
}

/** Part of the work failed while the rest was done. */
export class IncompleteError extends Error {
  override readonly name = 'IncompleteError';

  /** @param lines the text for stderr */
  constructor(lines: readonly string[], options?: ErrorOptions) {
    super(lines.join('\n'), options);
  }
}

/** A signal stopped a command, which completed the step in progress. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  /** The number of the signal. */
  readonly number: number;

  constructor(signal: NodeJS.Signals, number: number) {
    super(`Interrupted by ${signal}: a change in progress was completed, no other was started.`);
    this.number = number;
  }
}
