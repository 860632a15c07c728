/** Examples in documents: commands, each followed by its output. */

export interface Example {
  readonly command: string;
  /** The output that follows it; `…` stands for omitted lines. */
  readonly output: readonly string[];
}

/** The lines of a section of a document that are examples: those that are indented. */
export function exampleLines(document: string, heading: string): string[] {
  const section = new RegExp(`\\n## ${heading}\\n([^]*?)\\n## `).exec(document)?.[1];
  if (section === undefined) throw new Error(`no section "${heading}"`);
  return section.split('\n').flatMap((line) => /^ {4}(.*)$/.exec(line)?.[1] ?? []);
}

/** The examples in some lines. Only those of `vdpa`, and of `jq` with its records: OpenMetrics output begins with "#", too. */
export function readExamples(lines: readonly string[]): Example[] {
  const examples: { command: string; output: string[] }[] = [];
  for (const line of lines) {
    const command = /^[#$] ((?:vdpa|jq) .*)$/.exec(line)?.[1];
    if (command === undefined) examples.at(-1)?.output.push(line.trimEnd());
    else examples.push({ command, output: [] });
  }
  return examples;
}

/**
 * What varies each time: times, process IDs and ports, bytes of messages, counts of what the machine reads, and the numbers of virtio
 * devices, after those that the machine has already.
 */
const volatile: readonly (readonly [RegExp, string])[] = [
  [/^Timestamp: .* usec$/, 'Timestamp: \\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4} \\d+ usec'],
  [/^( +[0-9a-f]{4} {2})[0-9a-f]{2}( [0-9a-f]{2})*$/, '$1[0-9a-f ]+'],
  [/\bvirtio\d+\b/g, 'virtio\\d+'],
  [/ (pid|port|requests|bytes_in|bytes_out|interrupts) \d+/g, ' $1 \\d+'],
  [/ kernel [\d.\\]+/, ' kernel \\S+'],
];

/** Matches the output of a command. Trailing blanks are ignored. */
export function outputPattern(output: readonly string[]): RegExp {
  const lines = output.map((line) => {
    if (line.trim() === '…') return '(?:.*\\n)*?';
    let escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    for (const [what, any] of volatile) escaped = escaped.replace(what, any);
    return `${escaped}[ \\t]*\\n`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

/** Whether a command runs until it is stopped. */
export function isEndless(command: string): boolean {
  return / monitor\b| -w /.test(command);
}
