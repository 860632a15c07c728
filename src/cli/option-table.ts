/** All options, for the parser, the help and the completions. */

/** An option of the command line. */
export interface OptionSpec {
  /** Its long name. */
  readonly name: OptionName;
  /** Its letter. */
  readonly short?: string;
  /** Whether it has a value: a required one may be the next argument, an optional one only follows `=`. */
  readonly value?: 'optional' | 'required';
  /** What it does, in a few words. */
  readonly summary: string;
}

export type OptionName =
  | 'Version'
  | 'no-nice-names'
  | 'json'
  | 'pretty'
  | 'help'
  | 'batch'
  | 'force'
  | 'sim'
  | 'details'
  | 'timestamp'
  | 'watch'
  | 'table'
  | 'trace'
  | 'color'
  | 'output';

export const optionTable: readonly OptionSpec[] = [
  { name: 'Version', short: 'V', summary: 'print the version' },
  { name: 'no-nice-names', short: 'n', summary: 'accepted for compatibility, no effect' },
  { name: 'json', short: 'j', summary: 'print JSON' },
  { name: 'pretty', short: 'p', summary: 'indent JSON' },
  { name: 'help', short: 'h', summary: 'print help on the command' },
  { name: 'batch', short: 'b', value: 'required', summary: 'run commands from a file, - for standard input' },
  { name: 'force', short: 'f', summary: 'continue a batch after a command that fails' },
  { name: 'sim', summary: 'use the simulated machine' },
  { name: 'details', short: 'd', summary: 'also show what sysfs reports' },
  { name: 'timestamp', short: 't', summary: 'print the time before each event' },
  { name: 'watch', short: 'w', summary: 'repeat the output every second' },
  { name: 'table', summary: 'show lists as tables' },
  { name: 'trace', summary: 'print netlink messages to standard error' },
  { name: 'color', short: 'c', value: 'optional', summary: 'color the output: always, auto or never' },
  { name: 'output', short: 'o', value: 'required', summary: 'select the output format' },
];
