import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program and its arguments. */
export type Command = readonly string[];

/** The environment of commands: without variables of this process that could slow Node down. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, ...more };
}

/**
 * Runs commands in turn, once without counting and then for this many rounds, and returns the median time of each, in
 * milliseconds. In turn, so that other load on the machine affects all of them.
 * @throws Error if one fails
 */
export function medianTimes(commands: readonly Command[], rounds: number, env: NodeJS.ProcessEnv): number[] {
  return medianTimesOf(
    commands.map((command) => ({ command, env })),
    rounds,
  );
}

/** Like {@link medianTimes}, with a separate environment for each command. */
export function medianTimesOf(
  runs: readonly { readonly command: Command; readonly env: NodeJS.ProcessEnv }[],
  rounds: number,
): number[] {
  const times = runs.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, { command, env }] of runs.entries()) {
      const time = timeOf(command, env);
      if (round >= 0) times[index]?.push(time);
    }
  }
  return times.map(median);
}

/** Runs a command without output. Returns how long it took, in milliseconds. @throws Error if it fails */
export function timeOf([file = '', ...args]: Command, env: NodeJS.ProcessEnv): number {
  const start = process.hrtime.bigint();
  const { status, stderr, error } = spawnSync(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const time = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')}: ${error?.message ?? stderr.toString()}`);
  return time;
}

/** Writes the peak memory of the process, in KiB; /proc calls it VmHWM. */
const tellMemory = `
process.once('exit', () => {
  const [, size] = /^VmHWM:\\s+(\\d+) kB$/m.exec(require('fs').readFileSync('/proc/self/status', 'latin1'));
  require('fs').writeFileSync(process.env.BENCH_MEMORY_FILE, size);
});
`;

/** The median of the peak memory of these runs of Node, in KiB. */
export function peakMemory(commands: readonly Command[], rounds: number, env: NodeJS.ProcessEnv): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-bench-'));
  try {
    const probe = join(folder, 'probe.cjs');
    const file = join(folder, 'size');
    writeFileSync(probe, tellMemory);
    return commands.map(([node = '', ...args]) => {
      const sizes = Array.from({ length: rounds }, () => {
        timeOf([node, '--require', probe, ...args], { ...env, BENCH_MEMORY_FILE: file });
        return Number(readFileSync(file, 'latin1'));
      });
      return median(sizes);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = low] = sorted.slice(middle - 1 + (sorted.length % 2), middle + 1);
  return (low + high) / 2;
}
