/** Attaches a VDUSE device that another program serves, as iproute2's `dev add` does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NetlinkError } from '../netlink/error.js';
import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { DeviceSpec } from '../vdpa/encode.js';
import { isDeviceName } from '../vduse/kernel/name.js';
import type { VduseServers } from '../vduse/daemon/servers.js';

/** Options for attaching a device of another program's server. */
export interface AttachOptions {
  /** How long to wait for the server, in milliseconds; 0 if it must exist already. */
  readonly waitMs: number;
  /** The command that starts a server of vdpa, for messages. */
  readonly serveCommand: string;
  /**
   * Called before the request to the kernel; throws if an instance cannot be attached, which is tried again within the
   * time limit.
   */
  readonly refuse?: () => void;
}

/** Removes the attributes that a server determines: the kernel rejects them for a VDUSE device. */
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
/**
 * Checking a server may disturb one that is starting, so there is a delay before the first check, and between checks.
 */
const refusalPollMs = 500;

/**
 * Attaches a device once its server exists. The request is finally sent in any case, so that the kernel's error is
 * reported.
 * @param attach sends the request to the kernel
 * @throws NetlinkError EINVAL, with the missing server as its hint, if there is no server in time; errors of `refuse`
 * and `attach`
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
 * Whether the error of the kernel means that there is no instance of that name, or one whose queues are not set up yet:
 * both are EINVAL without a message. drivers/vdpa/vdpa_user/vduse_dev.c, vdpa_dev_add().
 */
function isUnserved(error: unknown): error is NetlinkError {
  return error instanceof NetlinkError && error.errno === Errno.EINVAL && error.kernelMessage === undefined;
}

async function whatIsMissing(servers: VduseServers, name: string, serveCommand: string): Promise<string | undefined> {
  if (!isDeviceName(name)) return undefined;
  if (await servers.has(name)) {
    return `The server of ${name} has not set up its queues yet: to wait for it, add "wait SECONDS".`;
  }
  return `${name} has no server: start one, or run "${serveCommand}".`;
}

function withHint(cause: NetlinkError, hint: string | undefined): NetlinkError {
  if (hint === undefined) return cause;
  const { operation, errno } = cause;
  return new NetlinkError({ operation, errno, hint, cause });
}
