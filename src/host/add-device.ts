/** Creates a device and binds it to a driver in one operation. */
import { SystemError } from '../sys/error.js';
import { bindDriver, requireDriver, type BindOptions } from '../sysfs/binding.js';
import { VDUSE_CLASS, driverName, sysfsName } from '../sysfs/bus.js';
import type { BusDevice, VdpaBus } from '../sysfs/bus.js';
import { refuseUnserved } from '../sysfs/instance-server.js';
import type { VdpaClient } from '../vdpa/client.js';
import type { DeviceSpec } from '../vdpa/encode.js';
import { waitUntilUsable } from './usable-device.js';

/**
 * Creates a device and binds it to a driver. If binding fails, the device is deleted. `vdpa dev add … driver DRIVER`
 * @param driver `vhost`, `virtio` or the driver's name in sysfs
 * @param options those of {@link bindDriver}; if the signal is aborted, the device is deleted
 * @returns the device afterwards: with vhost_vdpa its node can be opened
 * @throws SystemError, before anything is created: ENOENT if there is no such driver, EBUSY for a VDUSE device whose
 * server has ended or is stopped; errors of {@link bindDriver}; NetlinkError if the kernel rejects the device; the
 * reason of the signal
 */
export async function addBoundDevice(
  client: VdpaClient,
  bus: VdpaBus,
  spec: DeviceSpec,
  driver: string,
  options: Pick<BindOptions, 'access' | 'signal' | 'timeoutMs'> = {},
): Promise<BusDevice> {
  requireDriver(bus, driverName(driver), `add ${spec.name} with driver ${driver}`);
  if (spec.managementDevice === VDUSE_CLASS) refuseUnserved(bus.files, spec.name, `add ${spec.name}`);
  options.signal?.throwIfAborted();
  await client.addDevice(spec);
  return orDelete(client, spec.name, async () => {
    const { device } = await bindDriver(bus, sysfsName(spec.name), driver, options);
    return device;
  });
}

/**
 * Waits until the driver of a new device has made it usable. If that fails, the device is deleted.
 * @throws SystemError as {@link waitUntilUsable} does
 */
export async function waitUntilUsableOrDelete(client: VdpaClient, bus: VdpaBus, name: string): Promise<BusDevice> {
  return orDelete(client, name, async () => waitUntilUsable(bus, name, (await client.device(name)).deviceId));
}

/**
 * Runs the next step for a new device, and deletes the device if it fails. If deletion fails too, both errors are
 * reported.
 */
async function orDelete<Result>(client: VdpaClient, name: string, goOn: () => Promise<Result>): Promise<Result> {
  try {
    return await goOn();
  } catch (failure) {
    try {
      await client.deleteDevice(name);
    } catch (cause) {
      if (!(cause instanceof SystemError && failure instanceof SystemError)) throw cause;
      const hint = [failure.hint, `Deleting ${name} also failed: ${cause.message}`].filter(Boolean).join('. ');
      throw new SystemError({ operation: failure.operation, errno: failure.errno, hint, cause: failure });
    }
    throw failure;
  }
}
