/** Something of VDUSE cannot be done as it was asked for. The message says why, for people. */
export class VduseError extends Error {
  override readonly name: string = 'VduseError';
}

/** A server of ours could not begin. */
export class LaunchError extends VduseError {
  override readonly name: string = 'LaunchError';
  /** What it said of it, for people, line by line. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** A server of ours could not begin, for another program has made the instance meanwhile. */
export class InstanceExistsError extends LaunchError {
  override readonly name = 'InstanceExistsError';
}
