/** Lists VDUSE devices and their servers. */
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VduseControl } from '../kernel/control.js';
import { VduseError } from '../error.js';
import { isAttached } from '../engine/takeover.js';
import { checkDeviceName, devicePath } from '../kernel/name.js';
import { RuntimeFolder } from './runtime-folder.js';
import type { VduseInstance } from './servers.js';
import { probeServer } from './liveness.js';
import { ask, ServerTimeoutError, type ServerAnswer } from './socket.js';

/** Time limit for a server to write its data when it ends. */
const END_TIMEOUT_MS = 90_000;

/** Time limit for its clean-up after that. */
const CLEANUP_TIMEOUT_MS = 5000;
const POLL_MS = 5;

/**
 * All instances of this machine by name, or the one of that name. @throws VduseError if a server answers with an error
 */
export async function listInstances(only?: string): Promise<VduseInstance[]> {
  const known = new Set([...instanceNames(), ...RuntimeFolder.names()]);
  const names = only === undefined ? [...known].sort() : [checkDeviceName(only)].filter((name) => known.has(name));
  const instances: VduseInstance[] = [];
  for (const name of names) {
    const instance = await inspect(name);
    if (instance) instances.push(instance);
  }
  return instances;
}

async function inspect(name: string): Promise<VduseInstance | undefined> {
  const answer = await askForStatus(name);
  if (answer && 'status' in answer) return { name, server: 'vdpa', status: answer.status };
  const attached = isAttached(name);
  if (answer) return { name, server: 'starting', status: answer.starting, attached };
  const liveness = await probeServer(name);
  switch (liveness?.state) {
    case undefined: {
      // An instance does not exist yet while its server opens its file, which may block in the file system.
      const pid = RuntimeFolder.lockHolderOf(name);
      return pid === undefined ? undefined : { name, server: 'unresponsive', state: 'starting', pid, attached };
    }
    case 'stopped':
      if (RuntimeFolder.lockHolderOf(name) === undefined) return { name, server: 'other', attached };
      return { name, server: 'unresponsive', state: liveness.state, pid: liveness.pid, attached };
    case 'starting':
    case 'stuck':
      return { name, server: 'unresponsive', state: liveness.state, pid: liveness.pid, attached };
    case 'alive':
      return { name, server: 'other', attached };
    case 'dead':
      return { name, server: 'none', attached };
  }
}

/** The instances that the kernel has. */
function instanceNames(): string[] {
  if (!existsSync('/dev/vduse')) return [];
  return readdirSync('/dev/vduse').filter((name) => name !== 'control');
}

type StatusAnswer = Extract<ServerAnswer, { status: unknown } | { starting: unknown }>;

/** The status of a server of vdpa, or of its supervisor while there is no server; undefined if neither exists. */
async function askForStatus(name: string): Promise<StatusAnswer | undefined> {
  const folder = RuntimeFolder.find(name);
  if (!folder) return undefined;
  try {
    for (const socketPath of [folder.socketPath, folder.supervisorPath]) {
      const answer = await ask({ name, socketPath }, { do: 'status' });
      if (answer && ('status' in answer || 'starting' in answer)) return answer;
    }
    return undefined;
  } catch (error) {
    if (error instanceof ServerTimeoutError) return undefined;
    throw error;
  } finally {
    folder.close();
  }
}

/**
 * Stops the server of a device if it is one of vdpa. It destroys the instance, unless the device is still on the vdpa
 * bus.
 * @returns whether there was one
 * @throws VduseError on failure
 */
export async function endServer(name: string): Promise<boolean> {
  const folder = RuntimeFolder.find(name);
  if (!folder) return false;
  try {
    // A supervisor ends its server on request; otherwise it would start another one.
    const supervisor = { name, socketPath: folder.supervisorPath };
    const answer =
      (await ask(supervisor, { do: 'end' }, END_TIMEOUT_MS)) ?? (await ask(folder, { do: 'end' }, END_TIMEOUT_MS));
    if (answer === undefined) return false;
    // Its directory is removed last.
    for (let waited = 0; waited < CLEANUP_TIMEOUT_MS && RuntimeFolder.names().includes(name); waited += POLL_MS) {
      await sleep(POLL_MS);
    }
    return true;
  } finally {
    folder.close();
  }
}

/**
 * Removes a device that is not on the bus: stops its server, destroys the instance.
 * @throws VduseError, SystemError: EBUSY if another program serves it
 */
export async function removeInstance(name: string): Promise<void> {
  const ended = await endServer(name);
  if (!existsSync(devicePath(name))) {
    if (ended) return;
    const pid = RuntimeFolder.lockHolderOf(name);
    if (pid !== undefined) {
      throw new VduseError(
        `The server of ${name}, process ${pid}, has not started serving yet: wait for it, or stop it with "kill ${pid}"`,
      );
    }
    throw new VduseError(`No VDUSE instance named ${name}`);
  }
  const control = new VduseControl();
  try {
    control.destroy(name);
    RuntimeFolder.clear(name);
  } finally {
    control.close();
  }
}
