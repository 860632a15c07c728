import { existsSync } from 'node:fs';
import { InstanceExistsError, LaunchError, VduseError } from '../error.js';
import { devicePath, isDeviceName } from '../kernel/name.js';
import { createBackingFile } from './create-file.js';
import { formatArguments } from '../spec/arguments.js';
import { launchServer } from './launch.js';
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import type { StartServerOptions } from './servers.js';

/**
 * Starts a server of vdpa and attaches its device. If attaching fails, the server and its instance are removed.
 * @param attach sends the request to the kernel
 * @throws DeviceOptionError; SystemError if its file cannot be created; LaunchError; InstanceExistsError if another
 * program created the instance first; DeviceNameError; errors of `attach`
 */
export async function launchAndAttach(
  device: ServedDeviceSpec,
  attach: () => Promise<void>,
  { makeFile = false }: StartServerOptions = {},
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
  const stopServer = await launchNew(device);
  try {
    await attach();
  } catch (error) {
    try {
      await stopServer();
    } catch (cause) {
      throw new VduseError(`${String(error)}; stopping its server also failed: ${String(cause)}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** @returns a function that stops the server */
async function launchNew(device: ServedDeviceSpec): Promise<() => Promise<void>> {
  try {
    return await launchServer(device.name, formatArguments(device));
  } catch (error) {
    if (!(error instanceof LaunchError && instanceExists(device.name))) throw error;
    throw new InstanceExistsError(error.lines);
  }
}

/** Whether there is an instance of that name, of any server; false for invalid names. */
export function instanceExists(name: string): boolean {
  return isDeviceName(name) && existsSync(devicePath(name));
}
