/** Every option, as the parser, the help and the completions read it. */

/** An option of the command line. */
export interface OptionSpec {
  /** Its long name. */
  readonly name: OptionName;
  /** The letter that stands for it. */
  readonly short?: string;
  /** Whether a value goes with it: in the next argument too where it is required, only after `=` where it is optional. */
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
  { name: 'no-nice-names', short: 'n', summary: 'accepted, without effect' },
  { name: 'json', short: 'j', summary: 'write JSON' },
  { name: 'pretty', short: 'p', summary: 'lay JSON out in lines' },
  { name: 'help', short: 'h', summary: 'print a short help, of the command on the line' },
  { name: 'batch', short: 'b', value: 'required', summary: 'run the lines of a file, or of standard input for -' },
  { name: 'force', short: 'f', summary: 'go on after a line of a batch that fails' },
  { name: 'sim', summary: 'talk to the simulated kernel' },
  { name: 'details', short: 'd', summary: 'show what the file systems of the machine tell, too' },
  { name: 'timestamp', short: 't', summary: 'put the time before each event' },
  { name: 'watch', short: 'w', summary: 'show again and again' },
  { name: 'table', summary: 'show lists as tables' },
  { name: 'trace', summary: 'tell every netlink message on stderr' },
  { name: 'color', short: 'c', value: 'optional', summary: 'colour: always, auto or never' },
  { name: 'output', short: 'o', value: 'required', summary: 'another form of output, by name' },
];
