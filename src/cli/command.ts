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
 * A command: it parses its words, calls the library and renders the answer. The grammar is iproute2's, so that oclif's
 * own parser has no part in it. What is said of a command is said in its statics, and read by the help, the completions
 * and the tests of the man pages.
 */
export abstract class VdpaCommand extends Command {
  static override strict = false;
  /** The lines that show how it is written, without `vdpa`'s options. */
  static override usage: string[] = [];
  /** What its first word names, where it is no keyword. */
  static operand?: CompletionKind;
  /** Keywords that may be given instead, each with its value and nothing after it. */
  static alternatives: Keywords = {};
  /** The keywords that may follow. */
  static keywords: Keywords = {};
  /** The forms of output that it has beside text and JSON, for -o. */
  static outputs: readonly string[] = [];
  /** Whether what it shows makes a table, for --table. */
  static tables = false;
  /** Whether it goes on for as long as it is let, with -w. */
  static watches = false;

  /** Called by oclif with both, by this program's own dispatcher with neither. */
  constructor(argv: string[] = [], config?: Config) {
    super(argv, config ?? noConfig);
  }

  /**
   * Does the work.
   * @param args what followed the command's name, without options
   * @throws UsageError, NetlinkError, NetlinkProtocolError
   */
  abstract execute(session: Session, args: readonly string[]): Promise<void>;

  /** Runs it on the process's own streams: the way in for oclif. */
  override async run(): Promise<void> {
    const execute: Execute = (session, args) => this.execute(session, args);
    process.exitCode = await runLine(this.argv, processIo(), {
      execute,
      runBatch: () => {
        throw new UsageError('-b is not supported by a single command');
      },
      helpOn: () => Promise.resolve(commandHelp(this.constructor as CommandClass)),
    });
  }
}

/** A command's class, as its module exports it by default. */
export type CommandClass = (new () => VdpaCommand) &
  Pick<typeof VdpaCommand, 'usage' | 'operand' | 'alternatives' | 'keywords' | 'outputs' | 'tables' | 'watches'> & {
    readonly summary?: string;
  };
