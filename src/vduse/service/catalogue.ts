/** What VDUSE devices there are, and who serves them. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VduseControl } from '../control.js';
import { VduseError } from '../error.js';
import { isAttached } from '../instance.js';
import { checkDeviceName, devicePath } from '../name.js';
import { RuntimeFolder } from './runtime-folder.js';
import type { VduseInstance } from './servers.js';
import { ask, type ServiceStatus } from './socket.js';

/** How long a server may take to write what has to be written when it ends. */
const END_PATIENCE_MS = 90_000;

/** How long it may take to clear up after that. */
const TIDY_PATIENCE_MS = 5000;
const POLL_MS = 5;

/** All instances of this machine by name, or the one of that name. @throws VduseError where a server does not answer */
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
  const status = await serverStatus(name);
  if (status) return { name, served: 'here', status };
  if (!existsSync(devicePath(name))) return undefined;
  return { name, served: isOpen(name) ? 'elsewhere' : 'nobody', attached: isAttached(name) };
}

/** The instances that the kernel has. */
function instanceNames(): string[] {
  if (!existsSync('/dev/vduse')) return [];
  return readdirSync('/dev/vduse').filter((name) => name !== 'control');
}

/** What a server of ours tells of its device; undefined where it has none. */
export async function serverStatus(name: string): Promise<ServiceStatus | undefined> {
  const folder = RuntimeFolder.find(name);
  if (!folder) return undefined;
  try {
    const answer = await ask(folder, { do: 'status' });
    return answer && 'status' in answer ? answer.status : undefined;
  } finally {
    folder.close();
  }
}

/** Whether a program has the device's file open: a device has one server. */
function isOpen(name: string): boolean {
  const target = devicePath(name);
  for (const pid of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const folder = `/proc/${pid}/fd`;
    try {
      for (const fd of readdirSync(folder)) if (readlinkSync(`${folder}/${fd}`) === target) return true;
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
  return false;
}

/**
 * Ends the server of a device, if it is ours. It destroys the instance, unless the device is still on the vdpa bus.
 * @returns whether there was one
 * @throws VduseError where it cannot
 */
export async function endServer(name: string): Promise<boolean> {
  const folder = RuntimeFolder.find(name);
  if (!folder) return false;
  try {
    if ((await ask(folder, { do: 'end' }, END_PATIENCE_MS)) === undefined) return false;
    // Its folder is the last thing that goes.
    for (let waited = 0; waited < TIDY_PATIENCE_MS && RuntimeFolder.names().includes(name); waited += POLL_MS) {
      await sleep(POLL_MS);
    }
    return true;
  } finally {
    folder.close();
  }
}

/**
 * Takes a device that is off the bus away: ends its server, destroys the instance.
 * @throws VduseError, SystemError: EBUSY where another program serves it
 */
export async function removeInstance(name: string): Promise<void> {
  const ended = await endServer(name);
  if (!existsSync(devicePath(name))) {
    if (ended) return;
    throw new VduseError(`There is no VDUSE instance ${name}`);
  }
  const control = new VduseControl();
  try {
    control.destroy(name);
    RuntimeFolder.clear(name);
  } finally {
    control.close();
  }
}
