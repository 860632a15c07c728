/** Examples in documents: commands, each followed by its output. They are run, and must print that output. */
import './inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { untilWatching } from './until-watching.js';
import { until } from '../servers/vduse.js';

export interface Example {
  readonly command: string;
  /** The output that follows it; `…` stands for omitted lines. */
  readonly output: readonly string[];
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

/** What varies each time: times, process IDs and ports, bytes of messages, counts of what the machine reads. */
const volatile: readonly (readonly [RegExp, string])[] = [
  [/^Timestamp: .* usec$/, 'Timestamp: \\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4} \\d+ usec'],
  [/^( +[0-9a-f]{4} {2})[0-9a-f]{2}( [0-9a-f]{2})*$/, '$1[0-9a-f ]+'],
  [/ (pid|port|requests|bytes_in|bytes_out|interrupts) \d+/g, ' $1 \\d+'],
  [/ kernel [\d.\\]+/, ' kernel \\S+'],
];

/** Matches the output of a command. Trailing blanks are ignored. */
function pattern(output: readonly string[]): RegExp {
  const lines = output.map((line) => {
    if (line.trim() === '…') return '(?:.*\\n)*?';
    let escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    for (const [what, any] of volatile) escaped = escaped.replace(what, any);
    return `${escaped}[ \\t]*\\n`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

/** A command that runs until it is stopped. */
const isEndless = (command: string): boolean => / monitor\b| -w /.test(command);

/** An example that is being run. */
export class RunningExample {
  readonly #example: Example;
  readonly #child;
  #printed = '';

  /** @param cwd the working folder */
  constructor(example: Example, cwd: string, variables: NodeJS.ProcessEnv = {}) {
    this.#example = example;
    this.#child = spawn('bash', ['-c', `exec ${example.command}`], {
      cwd,
      env: { ...process.env, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#printed += stripVTControlCharacters(text)));
    }
  }

  /** Waits until a monitor watches, and discards what it has printed until then. */
  async watches(): Promise<void> {
    await untilWatching(() => this.#printed);
    this.#printed = '';
  }

  /** Waits until everything in the example is printed, and until a finite command exits. */
  async finish(): Promise<void> {
    const { command, output } = this.#example;
    const closed = new Promise<void>((resolve) =>
      this.#child.once('close', () => {
        resolve();
      }),
    );
    if (isEndless(command)) {
      await until(`"${command}" prints the output that follows it:\n${output.join('\n')}`, () => this.#fits());
      this.#child.kill();
    }
    await closed;
    assert.ok(this.#fits(), `${command}\n${this.#printed}\ndiffers from the example:\n${output.join('\n')}`);
  }

  #fits(): boolean {
    return pattern(this.#example.output).test(this.#printed);
  }
}
