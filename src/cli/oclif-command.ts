import type { Config } from '@oclif/core';

/**
 * The part of oclif's Command that the executable needs: the build replaces that class with this one, because loading
 * the real one takes as long as the rest of a command.
 */
export class Command {
  static summary?: string;
  static usage?: string | string[];
  static strict = true;

  argv: string[];
  config: Config;

  constructor(argv: string[], config: Config) {
    this.argv = argv;
    this.config = config;
  }
}
