import { errnoName, strerror } from './errno.js';

/** Properties of a {@link SystemError}. */
export interface SystemErrorDetails {
  /** The operation, human-readable: `open /dev/vduse/control`. */
  readonly operation: string;
  /** The error number, positive. */
  readonly errno: number;
  /** What to do about it, or its cause: one whole human-readable sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An operation of the system failed with an error number. */
export class SystemError extends Error {
  override readonly name: string = 'SystemError';
  /** The operation, human-readable. */
  readonly operation: string;
  /** The error number, positive: 19 for ENODEV. */
  readonly errno: number;
  /** Its name: `ENODEV`. */
  readonly code: string;
  /** glibc's text for it: `No such device`. */
  readonly reason: string;
  declare readonly hint?: string;

  /** @param message the whole text; by default built from the details. */
  constructor(details: SystemErrorDetails, message: string = describeSystemError(details)) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.errno = details.errno;
    this.code = errnoName(details.errno);
    this.reason = strerror(details.errno);
    if (details.hint !== undefined) this.hint = details.hint;
  }
}

/**
 * `open /dev/vduse/control: No such file or directory (ENOENT). Load the module vduse.` `middle` comes before the hint.
 */
export function describeSystemError(details: SystemErrorDetails, middle = ''): string {
  const text = `${details.operation}: ${strerror(details.errno)} (${errnoName(details.errno)})${middle}`;
  return details.hint === undefined ? text : `${text}. ${details.hint}`;
}

/** An argument of a function is invalid: out of range, or in an unknown notation. */
export class ArgumentError extends RangeError {
  override readonly name = 'ArgumentError';
}

/** The C library is not available, because the native part of koffi is missing or does not fit this machine. */
export class MissingKoffiError extends Error {
  override readonly name = 'MissingKoffiError';

  /**
   * @param cause the error of the loader
   * @param need one sentence on what is required, without a full stop; by default the packages
   */
  constructor(cause: unknown, need = packagesNeeded) {
    const reason = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : String(cause);
    super(`Cannot call the C library: ${reason}. ${need}. The simulation ("vdpa --sim") works without that`, { cause });
  }
}

const packagesNeeded =
  `This requires the packages koffi and @koromix/koffi-${process.platform}-${process.arch}: reinstall without ` +
  '"--omit=optional" ("npm ci --include=optional" in a clone)';

/** Dropping privileges failed. */
export class PrivilegeError extends Error {
  override readonly name = 'PrivilegeError';
}

/** The program does not support machines of this architecture. */
export class UnsupportedMachineError extends Error {
  override readonly name = 'UnsupportedMachineError';
}

/** Calls a function that may fail with one of these error numbers. @throws other errors */
export function ignoring(errnos: readonly number[], call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof SystemError && errnos.includes(error.errno))) throw error;
  }
}
