/** Determines the state of an existing instance, which the kernel does not report directly. */
import { existsSync } from 'node:fs';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import type { DeviceIdentity } from '../kernel/control.js';
import type { VduseDevice } from '../kernel/device.js';
import { DeviceOptionError } from '../spec/error.js';
import { checkDeviceName } from '../kernel/name.js';
import { negotiated } from './negotiation.js';

/** The functions of a device's file that report on its instance. */
type InstanceFile = Pick<VduseDevice, 'queueInfo' | 'driverFeatures' | 'interruptForConfig'>;

/** Whether a device of that name is on the vdpa bus. @throws DeviceNameError */
export function isAttached(name: string): boolean {
  return existsSync(`/sys/bus/vdpa/devices/${checkDeviceName(name)}`);
}

/**
 * Checks that an instance is a device of the kind that this server serves.
 * @returns the features of its running driver, or undefined if there is none
 * @throws DeviceOptionError
 */
export function probeInstance(device: InstanceFile, name: string, identity: DeviceIdentity): bigint | undefined {
  if (!hasQueue(device, identity.queueCount - 1) || hasQueue(device, identity.queueCount)) {
    throw new DeviceOptionError(
      `Instance ${name} was not created with ${identity.queueCount} queues: give the original number`,
    );
  }
  if (!isRunning(device)) return undefined;
  const taken = device.driverFeatures();
  const features = negotiated(taken, identity.features);
  if (features !== undefined) return features;
  const missing = (taken & ~identity.features).toString(16);
  throw new DeviceOptionError(
    `The driver of ${name} uses features that are no longer offered (0x${missing}): serve it with the options it was created with`,
  );
}

function hasQueue(device: InstanceFile, index: number): boolean {
  try {
    device.queueInfo(index);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EINVAL) return false;
    throw error;
  }
}

/** Whether the driver has set DRIVER_OK: the kernel does not report it, but rejects interrupts before. */
function isRunning(device: InstanceFile): boolean {
  try {
    device.interruptForConfig();
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EINVAL) return false;
    throw error;
  }
}
