/** A device made and given to a driver in one go. */
import { SystemError } from '../sys/error.js';
import { bindDriver, requireDriver } from '../sysfs/binding.js';
import { VDUSE_CLASS, driverName } from '../sysfs/bus.js';
import type { BusDevice, VdpaBus } from '../sysfs/bus.js';
import { refuseUnserved } from '../sysfs/instance-server.js';
import type { VdpaClient } from '../vdpa/client.js';
import type { DeviceSpec } from '../vdpa/encode.js';
import { formatHandle } from '../vdpa/model.js';

/**
 * Makes a device and binds it to a driver. Where the binding fails the device is deleted again.
 * @param driver `vhost`, `virtio` or the driver's name in sysfs
 * @returns the device as it is then: with vhost_vdpa its node can be opened
 * @throws SystemError, before anything is made: ENOENT where there is no such driver, EBUSY for a VDUSE device whose server
 *   is gone or stopped; what {@link bindDriver} throws;
 *   NetlinkError where the kernel refuses the device
 */
export async function addBoundDevice(
  client: VdpaClient,
  bus: VdpaBus,
  spec: DeviceSpec,
  driver: string,
): Promise<BusDevice> {
  requireDriver(bus, driverName(driver), `add ${spec.name} with driver ${driver}`);
  if (formatHandle(spec.managementDevice) === VDUSE_CLASS) refuseUnserved(bus.files, spec.name, `add ${spec.name}`);
  await client.addDevice(spec);
  try {
    // The kernel puts an exclamation mark where a name has a slash, which would cut its path in sysfs.
    return (await bindDriver(bus, spec.name.replaceAll('/', '!'), driver)).device;
  } catch (error) {
    await remove(client, spec.name, error);
    throw error;
  }
}

/** Deletes the device that could not be bound. Where that fails too, both are told. */
async function remove(client: VdpaClient, name: string, failure: unknown): Promise<void> {
  try {
    await client.deleteDevice(name);
  } catch (cause) {
    if (!(cause instanceof SystemError && failure instanceof SystemError)) throw cause;
    const hint = [failure.hint, `And then ${name} could not be deleted again: ${cause.message}`]
      .filter(Boolean)
      .join('. ');
    throw new SystemError({ operation: failure.operation, errno: failure.errno, hint, cause: failure });
  }
}
