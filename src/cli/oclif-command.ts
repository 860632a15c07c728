import type { Config } from '@oclif/core';

/**
 * What the executable needs of oclif's Command, and nothing else: the build puts it in that class's place, because
 * loading the real one costs as much time as all the rest of a command.
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
