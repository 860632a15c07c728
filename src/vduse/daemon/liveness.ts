/**
 * Checks whether the server of an instance is alive, of vdpa or another program: the kernel waits for it when a device
 * is deleted.
 */
import { existsSync } from 'node:fs';
import { monotonicMs } from '../../sys/clock.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { close } from '../../sys/libc.js';
import { abortable, sleep } from '../../sys/wait.js';
import { devicePath } from '../kernel/name.js';
import { O_NONBLOCK, O_RDWR, openFile } from '../../sys/open-file.js';
import { findServingProcess, type ServingProcess } from './holder.js';
import { RuntimeFolder } from './runtime-folder.js';
import { ask, ServerTimeoutError } from './socket.js';

/** The state of the server of an instance. */
export type ServerLiveness =
  /** It has the instance open and runs; `pid` and `command` are unknown if this user may not read them. */
  | ({ readonly state: 'alive' } & Partial<ServingProcess>)
  /** Something has stopped it (SIGSTOP, a debugger). */
  | ({ readonly state: 'stopped' } & ServingProcess)
  /** It runs, is one of vdpa, and does not respond. */
  | ({ readonly state: 'stuck' } & ServingProcess)
  /** There is none; a supervisor, or a server that has just started, is about to open the instance. */
  | { readonly state: 'starting'; readonly pid: number }
  /** There is none. */
  | { readonly state: 'dead' };

/**
 * Returns the state of the server of an instance. A server of vdpa has five seconds to respond.
 * @returns undefined if there is no instance of that name
 * @throws DeviceNameError
 */
export async function probeServer(name: string): Promise<ServerLiveness | undefined> {
  if (!existsSync(devicePath(name))) return undefined;
  const holder = findServingProcess(name);
  if (holder?.stopped === true) return { state: 'stopped', ...holder };
  const folder = RuntimeFolder.find(name);
  try {
    if (holder) return { state: !folder || (await answers(folder)) ? 'alive' : 'stuck', ...holder };
    const pid = folder?.lockHolder();
    if (pid !== undefined) return { state: 'starting', pid };
    return { state: isOpenSomewhere(name) ? 'alive' : 'dead' };
  } finally {
    folder?.close();
  }
}

/** Time limit for a server to start. */
const REPLACEMENT_TIMEOUT_MS = 10_000;
const REPLACEMENT_POLL_MS = 10;

/**
 * Waits up to ten seconds while an instance has no server and one of vdpa is about to serve it, for example after the
 * last one was killed.
 * @throws DeviceNameError; the reason of the signal
 */
export async function awaitReplacement(name: string, signal?: AbortSignal): Promise<void> {
  const end = monotonicMs() + REPLACEMENT_TIMEOUT_MS;
  while ((await abortable(probeServer(name), signal))?.state === 'starting' && monotonicMs() < end) {
    await sleep(REPLACEMENT_POLL_MS, signal);
  }
}

/** Whether a server of vdpa responds, or there is no socket. */
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
 * Whether a process that /proc does not show has an instance open: of another user, or outside of this container.
 * Opening does not disturb an instance that no process has open.
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
