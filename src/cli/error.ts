/** The error message of a command that was rejected before anything was sent, line by line, without anything else. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';

  /** @param lines what goes to stderr, as it is */
  constructor(...lines: string[]) {
    super(lines.join('\n'));
  }
}

/**
 * A refusal of something that iproute2 takes. It waits until all that iproute2 refuses in the same words has been looked
 * for, so that a line which iproute2 refuses is refused as it does.
 */
export class StricterError extends UsageError {
  override readonly name = 'StricterError';
}

/** A command has failed and has already reported the error: only the exit status is left. */
export class ReportedError extends Error {
  override readonly name = 'ReportedError';
}

/** What could not be done while the rest was, line by line. */
export class IncompleteError extends Error {
  override readonly name = 'IncompleteError';

  /** @param lines what goes to stderr, as it is */
  constructor(lines: readonly string[], options?: ErrorOptions) {
    super(lines.join('\n'), options);
  }
}

/** A signal has ended a command that finishes what it has begun. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  /** The signal's number. */
  readonly number: number;

  constructor(signal: NodeJS.Signals, number: number) {
    super(`Interrupted by ${signal}: the change in progress was completed, the remaining ones were not started.`);
    this.number = number;
  }
}
