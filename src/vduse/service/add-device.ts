import { existsSync } from 'node:fs';
import { VduseError } from '../error.js';
import { devicePath } from '../name.js';
import { wordsOfDevice } from './device-words.js';
import { launchServer } from './launch.js';
import type { ServedDevice } from './served-device.js';

/**
 * Attaches a VDUSE device, with a server of ours where there is no instance of that name yet. Where the attaching fails the
 * server is ended, and with it the instance.
 * @param attach sends the request to the kernel
 * @throws LaunchError, DeviceNameError; whatever `attach` throws
 */
export async function addServedDevice(device: ServedDevice, attach: () => Promise<void>): Promise<void> {
  const end = await launchServer(device.name, wordsOfDevice(device));
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

/** Whether there is an instance of that name, of whatever server. @throws DeviceNameError */
export function instanceExists(name: string): boolean {
  return existsSync(devicePath(name));
}
