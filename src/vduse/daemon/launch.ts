import { spawn, type ChildProcess } from 'node:child_process';
import { programWords } from '../../sys/program.js';
import { LaunchError } from '../error.js';
import { endServer } from './catalogue.js';

/** The descriptor on which a server reports its start to its launcher; the variable says that it exists. */
const READY_FD = 3;
export const READY_VARIABLE = 'VDPA_READY_FD';

/** The report of a server on its start. */
export type Readiness = { readonly ready: true } | { readonly failed: readonly string[] };

/** The variables that a server inherits: it runs for a long time and should not depend on who started it. */
const INHERITED = ['PATH', 'LANG', 'XDG_RUNTIME_DIR', 'VDPA_DEBUG'];

/**
 * Starts a server in a separate process, detached from the terminal, and waits until the device can be attached.
 * @param args the arguments of `vdpa vduse serve`
 * @returns a function that stops it
 * @throws LaunchError
 */
export async function launchServer(name: string, args: readonly string[]): Promise<() => Promise<void>> {
  const child = spawnServer(args, {}, true);
  try {
    await awaitReadiness(child);
  } finally {
    // It no longer writes to this process, which does not wait for it.
    child.stderr?.destroy();
    child.unref();
  }
  return () => endServer(name).then(() => undefined);
}

/**
 * Starts a server in a separate process.
 * @param args the arguments of `vdpa vduse serve`
 * @param variables environment variables in addition to those that it inherits
 * @param detached in a session of its own, detached from the terminal
 */
export function spawnServer(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  detached = false,
): ChildProcess {
  const environment = INHERITED.flatMap((variable) => {
    const value = process.env[variable];
    return value === undefined ? [] : [[variable, value] as const];
  });
  const [file, ...words] = programWords();
  return spawn(file, [...words, 'vduse', 'serve', ...args], {
    cwd: '/',
    detached,
    env: { ...Object.fromEntries(environment), ...variables, [READY_VARIABLE]: String(READY_FD) },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
}

/**
 * Waits until a started server reports that the device can be attached.
 * @throws LaunchError on failure; the server has ended then
 */
export async function awaitReadiness(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const report = await new Promise<string>((resolve, reject) => {
    let text = '';
    let errors = '';
    child.once('error', (error) => {
      reject(new LaunchError([`vdpa: failed to start the server: ${error.message}`]));
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      errors = (errors + chunk).slice(-4000);
    });
    const pipe = child.stdio[READY_FD];
    if (!pipe || !('setEncoding' in pipe)) throw new Error('the server has no readiness pipe');
    pipe.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    child.once('close', (status, signal) => {
      const how = signal === null ? `with status ${status ?? 1}` : `by ${signal}`;
      const output = errors.trimEnd();
      reject(
        new LaunchError([`vdpa: the server exited ${how} before it was ready`, ...(output === '' ? [] : [output])]),
      );
    });
  });
  const readiness: unknown = JSON.parse(report);
  if (!isReadiness(readiness)) throw new LaunchError(['vdpa: the server sent an invalid report on its start']);
  if ('failed' in readiness) {
    // It reports the failure before it exits.
    await gone;
    throw new LaunchError(readiness.failed);
  }
}

function isReadiness(value: unknown): value is Readiness {
  if (typeof value !== 'object' || value === null) return false;
  if ('ready' in value) return value.ready === true;
  return 'failed' in value && Array.isArray(value.failed) && value.failed.every((line) => typeof line === 'string');
}
