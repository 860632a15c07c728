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
