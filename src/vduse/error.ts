import { Errno, strerror, type ErrnoName } from '../sys/errno.js';

/** A VDUSE operation failed. The message is human-readable and says why. */
export class VduseError extends Error {
  override readonly name: string = 'VduseError';
}

/** A server of vdpa did not start. */
export class LaunchError extends VduseError {
  override readonly name: string = 'LaunchError';
  /** Its human-readable error messages, line by line. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** A server of vdpa did not start because another program created the instance in the meantime. */
export class InstanceExistsError extends LaunchError {
  override readonly name = 'InstanceExistsError';
}

/** An operation of a backend failed. The driver gets an I/O error, or `unsupported` for EOPNOTSUPP. */
export class BackendError extends VduseError {
  override readonly name = 'BackendError';
  /** The name of the error number: `EIO`. */
  readonly code: ErrnoName;
  /** The error number, positive. */
  readonly errno: number;

  /** @param message for people who debug the backend; by default the text of the error number */
  constructor(code: ErrnoName = 'EIO', message: string = strerror(Errno[code])) {
    super(message);
    this.code = code;
    this.errno = Errno[code];
  }
}
