import { Command } from '@oclif/core/command';
import type { Config } from '@oclif/core';
import { UsageError } from './error.js';
import type { Keywords, CompletionKind } from './grammar.js';
import { commandHelp } from './help.js';
import { processIo } from './io.js';
import { runLine, type Execute } from './run-line.js';
import type { Session } from './session.js';

/** oclif reads its configuration in its own parser and error handler only, which are not used here. */
const noConfig = Object.create(null) as Config;

/**
 * A command: it parses its arguments, calls the library and renders the result. The grammar is iproute2's, so oclif's
 * parser is not used. The static properties describe the command for the help, the completions and the tests of the man
 * pages.
 */
export abstract class VdpaCommand extends Command {
  static override strict = false;
  /** Its usage, line by line, without the options of `vdpa`. */
  static override usage: string[] = [];
  /** What its first argument names, if that is not a keyword. */
  static operand?: CompletionKind;
  /** Keywords that may be given instead, each with its value and without further arguments. */
  static alternatives: Keywords = {};
  /** The keywords that may follow. */
  static keywords: Keywords = {};
  /** Its output formats besides text and JSON, for -o. */
  static outputs: readonly string[] = [];
  /** Whether it supports --table. */
  static tables = false;
  /** Whether it supports -w. */
  static watches = false;

  /** oclif passes both arguments, the dispatcher of this program none. */
  constructor(argv: string[] = [], config?: Config) {
    super(argv, config ?? noConfig);
  }

  /**
   * Runs the command.
   * @param args the arguments after the command's name, without options
   * @throws UsageError, NetlinkError, NetlinkProtocolError
   */
  abstract execute(session: Session, args: readonly string[]): Promise<void>;

  /** Runs it on the streams of this process: called by oclif. */
  override async run(): Promise<void> {
    const execute: Execute = (session, args) => this.execute(session, args);
    process.exitCode = await runLine(this.argv, processIo(), {
      execute,
      runBatch: () => {
        throw new UsageError('-b is not supported by a single command');
      },
      // TypeScript knows the constructor of an object only as a function.
      helpOn: () => Promise.resolve(commandHelp(this.constructor as CommandClass)),
    });
  }
}

/** The class of a command, the default export of its module. */
export type CommandClass = (new () => VdpaCommand) &
  Pick<typeof VdpaCommand, 'usage' | 'operand' | 'alternatives' | 'keywords' | 'outputs' | 'tables' | 'watches'> & {
    readonly summary?: string;
  };
