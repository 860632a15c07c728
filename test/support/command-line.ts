import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';
import { tree } from '../../src/command-tree.js';

/** The outcome of a command line. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line of `vdpa` in this process, on the machine's kernel. A line is split at blanks; a list is used as is. */
export async function vdpa(line: string | readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const status = await run(
    typeof line === 'string' ? line.split(' ') : line,
    {
      env: {},
      stdout: (text) => {
        stdout += text;
      },
      stderr: (text) => {
        stderr += text;
      },
      ...io,
    },
    tree,
  );
  return { status, stdout, stderr };
}

/** The same for a line that must succeed without output on stderr. Returns its output. */
export async function output(line: string | readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await vdpa(line);
  if (status !== 0 || stderr !== '') throw new Error(`vdpa ${line.toString()}: status ${status}\n${stderr}`);
  return stdout;
}

/** The JSON output of a line that must succeed. */
export async function json(line: string): Promise<unknown> {
  return JSON.parse(await output(`-j ${line}`)) as unknown;
}

/** The same lines, each with a newline. */
export function lines(...text: string[]): string {
  return text.map((line) => `${line}\n`).join('');
}
