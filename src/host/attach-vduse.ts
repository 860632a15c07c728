/** Attaching a VDUSE device that another program serves: all that iproute2's `dev add` does of VDUSE. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NetlinkError } from '../netlink/error.js';
import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { DeviceSpec } from '../vdpa/encode.js';
import { isDeviceName } from '../vduse/kernel/name.js';
import type { VduseServers } from '../vduse/daemon/servers.js';

/** How a device of another program's server is attached. */
export interface AttachOptions {
  /** How long the server may take to come, in milliseconds; 0 where it has to be there. */
  readonly waitMs: number;
  /** The command that begins a server of the tool's own, for people. */
  readonly serveCommand: string;
  /** Called before the kernel is asked; throws where an instance cannot be attached, which is tried again in that time. */
  readonly refuse?: () => void;
}

/** What the kernel is asked for where a server decides the rest: the kernel refuses to change that of a VDUSE device. */
export function withoutServerAttributes(spec: DeviceSpec): DeviceSpec {
  const { name, managementDevice, maxVirtqueuePairs, features } = spec;
  return {
    name,
    managementDevice,
    ...(maxVirtqueuePairs !== undefined && { maxVirtqueuePairs }),
    ...(features !== undefined && { features }),
  };
}

const pollMs = 20;
/** Looking at a server may come in the way of one that begins: it is given time before the first look, and between two. */
const refusalPollMs = 500;

/**
 * Attaches a device, once its server is there. The kernel is asked in any case, in the end, so that its words are told.
 * @param attach sends the request to the kernel
 * @throws NetlinkError EINVAL, with who is missing as its hint, where there is no server in time; whatever `refuse` and
 *   `attach` throw
 */
export async function attachVduseDevice(
  servers: VduseServers,
  name: string,
  { waitMs, serveCommand, refuse }: AttachOptions,
  attach: () => Promise<void>,
): Promise<void> {
  const deadline = monotonicMs() + waitMs;
  while (monotonicMs() < deadline) {
    const isThere = await servers.has(name);
    await sleep(Math.min(pollMs, deadline - monotonicMs()));
    if (!isThere) continue;
    if (isRefused(refuse)) {
      await sleep(Math.min(refusalPollMs, deadline - monotonicMs()));
      continue;
    }
    try {
      await attach();
      return;
    } catch (error) {
      if (!isUnserved(error)) throw error;
    }
  }
  refuse?.();
  try {
    await attach();
  } catch (error) {
    throw isUnserved(error) ? withHint(error, await whatIsMissing(servers, name, serveCommand)) : error;
  }
}

function isRefused(refuse: (() => void) | undefined): boolean {
  try {
    refuse?.();
    return false;
  } catch (error) {
    if (error instanceof SystemError) return true;
    throw error;
  }
}

/**
 * Whether the kernel says that there is no instance of that name, or one whose queues are not set up yet: both are EINVAL
 * without a word more. drivers/vdpa/vdpa_user/vduse_dev.c, vdpa_dev_add().
 */
function isUnserved(error: unknown): error is NetlinkError {
  return error instanceof NetlinkError && error.errno === Errno.EINVAL && error.kernelMessage === undefined;
}

async function whatIsMissing(servers: VduseServers, name: string, serveCommand: string): Promise<string | undefined> {
  if (!isDeviceName(name)) return undefined;
  if (await servers.has(name)) {
    return `The server of ${name} has not set up its queues yet: "wait SECONDS" waits for it.`;
  }
  return `Nobody serves ${name}: begin a server, or say "${serveCommand}".`;
}

function withHint(cause: NetlinkError, hint: string | undefined): NetlinkError {
  if (hint === undefined) return cause;
  const { operation, errno } = cause;
  return new NetlinkError({ operation, errno, hint, cause });
}
