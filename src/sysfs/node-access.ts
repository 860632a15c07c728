/** Sets the permissions of a device's node. */
import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { sleep } from '../sys/wait.js';
import type { DeviceNumber, MachineFiles } from './machine-files.js';

/** Owner, group and permissions of a node; absent ones are left unchanged. */
export interface NodeAccess {
  readonly uid?: number;
  readonly gid?: number;
  /** Permission bits, 0 to 0o777. */
  readonly mode?: number;
}

const udevTimeoutMs = 2000;
const pollMs = 5;

/**
 * Sets the permissions of a node. If udev is running, waits until it has processed the node: it would apply its rules.
 * @param node its path below /dev
 * @throws SystemError ENODEV if the node is not that device's; the reason of the signal
 */
export async function setNodeAccess(
  files: MachineFiles,
  node: string,
  access: NodeAccess,
  operation: string,
  signal?: AbortSignal,
): Promise<void> {
  const device = files.deviceNumber(node);
  if (device?.kind !== 'character') {
    throw new SystemError({ operation, errno: Errno.ENODEV, hint: `${node} is not a character device` });
  }
  await untilUdevIsDone(files, device, signal);
  files.setAccess(operation, node, device, access);
}

/** udev writes a file for each device node that it has processed: sd-device, device_update_db(). */
async function untilUdevIsDone(
  files: MachineFiles,
  { major, minor }: DeviceNumber,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!files.exists('/run/udev/control')) return;
  const deadline = monotonicMs() + udevTimeoutMs;
  while (!files.exists(`/run/udev/data/c${major}:${minor}`) && monotonicMs() < deadline) await sleep(pollMs, signal);
}
