/** The built program as a process, on a simulated machine: for what only a process has, such as signals. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Outcome } from './command-line.js';

/** The built program. */
export const program = fileURLToPath(new URL('../../../bin/vdpa.js', import.meta.url));

/** Of its processes: what they cover of the bundle does not count, and takes long to write and to read. */
export const programEnv = { PATH: process.env['PATH'], NODE_V8_COVERAGE: '' };

/** A command line that runs. */
export interface Running {
  readonly kill: (signal: NodeJS.Signals) => void;
  /** What it has printed so far. */
  readonly stdout: () => string;
  /** Waits for a text on either stream. */
  readonly told: (text: string) => Promise<void>;
  readonly ended: Promise<Outcome>;
}

/** Runs a line, cut at blanks, on the machine that the environment selects. */
export function start(line: string, env: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [program, '--sim', ...line.split(' ')], {
    env: { ...programEnv, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (part: string) => (texts[name] += part));
  }
  const ended = once(child, 'close').then(([status]) => ({ status: Number(status ?? -1), ...texts }));
  return {
    kill: (signal) => {
      child.kill(signal);
    },
    stdout: () => texts.stdout,
    told: async (text) => {
      while (!`${texts.stdout}${texts.stderr}`.includes(text)) {
        await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended]);
        if (child.exitCode !== null) break;
      }
      assert.ok(`${texts.stdout}${texts.stderr}`.includes(text), `${text}: ${texts.stdout}${texts.stderr}`);
    },
    ended,
  };
}
