import { existsSync } from 'node:fs';
import { InstanceExistsError, LaunchError, VduseError } from '../error.js';
import { devicePath, isDeviceName } from '../kernel/name.js';
import { createBackingFile } from './create-file.js';
import { formatArguments } from '../spec/arguments.js';
import { launchServer } from './launch.js';
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import type { ServeOptions } from './servers.js';

/**
 * Starts a server of ours, and attaches its device. Where the attaching fails the server is ended, and with it the instance.
 * @param attach sends the request to the kernel
 * @throws DeviceOptionError, SystemError where its file cannot be made; LaunchError: InstanceExistsError where another program was quicker; DeviceNameError; whatever `attach` throws
 */
export async function launchAndAttach(
  device: ServedDeviceSpec,
  attach: () => Promise<void>,
  { makeFile = false }: ServeOptions = {},
): Promise<void> {
  const removeFile = makeFile ? createBackingFile(device) : undefined;
  try {
    await serveAndAttach(device, attach);
  } catch (error) {
    removeFile?.();
    throw error;
  }
}

async function serveAndAttach(device: ServedDeviceSpec, attach: () => Promise<void>): Promise<void> {
  const end = await launchNew(device);
  try {
    await attach();
  } catch (error) {
    try {
      await end();
    } catch (cause) {
      throw new VduseError(`${String(error)}; and then its server could not be ended: ${String(cause)}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** @returns what ends the server again */
async function launchNew(device: ServedDeviceSpec): Promise<() => Promise<void>> {
  try {
    return await launchServer(device.name, formatArguments(device));
  } catch (error) {
    if (!(error instanceof LaunchError && instanceExists(device.name))) throw error;
    throw new InstanceExistsError(error.lines);
  }
}

/** Whether there is an instance of that name, of whatever server; never of a name that none can have. */
export function instanceExists(name: string): boolean {
  return isDeviceName(name) && existsSync(devicePath(name));
}
