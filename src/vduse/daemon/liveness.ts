/** Whether the server of an instance lives, ours or another program's: the kernel waits for it when a device is deleted. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../sys/clock.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { close } from '../../sys/libc.js';
import { devicePath } from '../kernel/name.js';
import { O_NONBLOCK, O_RDWR, openFile } from '../../sys/open-file.js';
import { findServingProcess, type ServingProcess } from './holder.js';
import { RuntimeFolder } from './runtime-folder.js';
import { ask, ServerTimeoutError } from './socket.js';

/** What the server of an instance does now. */
export type ServerLiveness =
  /** It has the instance open and runs; `pid` and `command` are unknown where this user may not look at it. */
  | ({ readonly is: 'alive' } & Partial<ServingProcess>)
  /** Something has stopped it (SIGSTOP, a debugger). */
  | ({ readonly is: 'stopped' } & ServingProcess)
  /** It runs, is one of ours, and does not answer. */
  | ({ readonly is: 'stuck' } & ServingProcess)
  /** There is none; a supervisor, or a server that has just begun, is about to open the instance. */
  | { readonly is: 'starting'; readonly pid: number }
  /** There is none. */
  | { readonly is: 'dead' };

/**
 * Finds out what the server of an instance does. A server of ours has five seconds to answer.
 * @returns undefined where there is no instance of that name
 * @throws DeviceNameError
 */
export async function probeServer(name: string): Promise<ServerLiveness | undefined> {
  if (!existsSync(devicePath(name))) return undefined;
  const holder = findServingProcess(name);
  if (holder?.stopped === true) return { is: 'stopped', ...holder };
  const folder = RuntimeFolder.find(name);
  try {
    if (holder) return { is: !folder || (await answers(folder)) ? 'alive' : 'stuck', ...holder };
    const pid = folder?.holder();
    if (pid !== undefined) return { is: 'starting', pid };
    return { is: isOpenSomewhere(name) ? 'alive' : 'dead' };
  } finally {
    folder?.close();
  }
}

/** How long a server may take to begin. */
const REPLACEMENT_PATIENCE_MS = 10_000;
const REPLACEMENT_POLL_MS = 10;

/**
 * Waits while an instance has no server and one of ours is about to serve it, as after the last one was killed: for ten
 * seconds at most.
 * @throws DeviceNameError
 */
export async function awaitReplacement(name: string): Promise<void> {
  const end = monotonicMs() + REPLACEMENT_PATIENCE_MS;
  while ((await probeServer(name))?.is === 'starting' && monotonicMs() < end) await sleep(REPLACEMENT_POLL_MS);
}

/** Whether a server of ours answers, or has none to ask. */
async function answers(folder: RuntimeFolder): Promise<boolean> {
  try {
    await ask(folder, { do: 'status' });
    return true;
  } catch (error) {
    if (error instanceof ServerTimeoutError) return false;
    throw error;
  }
}

/**
 * Whether a process has an instance open that /proc does not show: of another user, or outside of this container. To open
 * it does not disturb an instance that nobody has open.
 */
function isOpenSomewhere(name: string): boolean {
  try {
    close(openFile(devicePath(name), O_RDWR | O_NONBLOCK));
    return false;
  } catch (error) {
    const gone = error instanceof SystemError && (error.errno === Errno.ENOENT || error.errno === Errno.ENODEV);
    return !gone;
  }
}
