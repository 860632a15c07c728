import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** An error that the user can fix: the message says what is missing or wrong, and what to do. It needs no stack trace. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Whether this machine runs Debian itself, whose packages and archive keys the lab can use. */
export function isDebian(): boolean {
  try {
    return /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** The full path of a command, looked up as a shell does, in the system's own folders too; undefined if there is none. */
export function findCommand(name: string): string | undefined {
  const folders = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`.split(delimiter);
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** @throws {LabError} if it is missing; the message names the package that has it */
export function requireCommand(name: string, packageName: string): string {
  const path = findCommand(name);
  if (path === undefined) throw new LabError(`the command ${name} is missing; it comes with ${packageName}`);
  return path;
}

export interface ProgramOptions {
  readonly cwd?: string;
  /** The name of the program in errors, if its whole command line would obscure the problem. */
  readonly label?: string;
  /** Gets each line of both outputs as it arrives. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a program to its end, without standard input, in a separate process group that dies with this process.
 *
 * @returns its standard output
 * @throws {LabError} if it cannot be started or fails; the message contains the end of its output
 */
export async function runProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  process.on('exit', kill);
  let stdout = '';
  let tail = '';
  const take = (stream: NodeJS.ReadableStream, isStdout: boolean) => {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      if (isStdout) stdout += text;
      tail = (tail + text).slice(-4000);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) options.onLine?.(line);
    });
  };
  take(child.stdout, true);
  take(child.stderr, false);
  try {
    const problem = await new Promise<string | undefined>((resolve) => {
      child.on('error', (error) => {
        resolve(error.message);
      });
      child.on('close', (code, signal) => {
        resolve(code === 0 ? undefined : `ended with ${signal ?? `status ${code ?? '?'}`}`);
      });
    });
    if (problem === undefined) return stdout;
    throw new LabError(
      `${options.label ?? [file, ...args].join(' ')}: ${problem}${tail === '' ? '' : `\n${tail.trimEnd()}`}`,
    );
  } finally {
    process.off('exit', kill);
  }
}
