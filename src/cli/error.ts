/** What a user is told of a command that was refused before anything was sent, line by line, and nothing else. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  /** @param lines what goes to stderr, as it is */
  constructor(...lines: string[]) {
    super(lines.join('\n'));
  }
}
