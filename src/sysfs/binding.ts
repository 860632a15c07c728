/** Binds drivers to devices on the vdpa bus: driver_override, unbind and bind, all or nothing. */
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { sleep, type WaitOptions } from '../sys/wait.js';
import { VDUSE_CLASS, VHOST_VDPA, VIRTIO_VDPA, deviceFolder, driverFolder, driverName, isFileName } from './bus.js';
import type { BusDevice, VdpaBus } from './bus.js';
import { refuseUnserved } from './instance-server.js';
import { setNodeAccess, type NodeAccess } from './node-access.js';
import { refuseUsed, type RemovalOptions } from './removal.js';

/**
 * Options for binding drivers. The time limit is for the device's node to appear, 5 s by default. If the signal is
 * aborted while that is awaited, the binding is undone.
 */
export interface BindOptions extends RemovalOptions, WaitOptions {
  /** With vhost_vdpa: owner, group and mode of the node. */
  readonly access?: NodeAccess;
}

const nodeTimeoutMs = 5000;
const pollMs = 5;

/** The result of binding or unbinding. */
export interface BindResult {
  readonly device: BusDevice;
  /** False if nothing had to be changed. */
  readonly changed: boolean;
}

/**
 * Binds a device to a driver, exclusively: sets driver_override, unbinds the old driver, binds the new one, and with
 * vhost_vdpa waits for /dev/vhost-vdpa-N. If a step fails, the previous ones are undone. `vdpa dev bind NAME driver
 * DRIVER`
 * @param driver `vhost`, `virtio` or the driver's name in sysfs
 * @throws SystemError ENODEV if there is no such device, ENOENT if there is no such driver, EBUSY if the device is in
 * use, ETIMEDOUT if its node does not appear; and errors of the kernel. The reason of the signal
 */
export async function bindDriver(
  bus: VdpaBus,
  name: string,
  driver: string,
  options: BindOptions = {},
): Promise<BindResult> {
  const wanted = driverName(driver);
  const operation = `bind ${name} to ${wanted}`;
  options.signal?.throwIfAborted();
  requireDriver(bus, wanted, operation);
  const before = requireDevice(bus, name, operation);
  if (before.driver === wanted && before.driverOverride === wanted) {
    await setAccess(bus, before, operation, options);
    return { device: before, changed: false };
  }
  if (before.driver !== wanted) {
    await refuseUsed(bus, before, operation, options);
    const asksServer = wanted === VIRTIO_VDPA && before.parent?.subsystem === VDUSE_CLASS;
    if (asksServer && options.force !== true) refuseUnserved(bus.files, name, operation);
  }
  try {
    bindTo(bus, before, wanted, operation);
    const device = await awaitNode(bus, name, wanted, operation, options);
    await setAccess(bus, device, operation, options);
    return { device, changed: true };
  } catch (error) {
    undo(bus, before, error);
    throw error;
  }
}

/**
 * Unbinds a device from its driver. It has no driver until one is bound to it. `vdpa dev unbind NAME`
 * @throws SystemError as {@link bindDriver} does
 */
export async function unbindDriver(bus: VdpaBus, name: string, options: BindOptions = {}): Promise<BindResult> {
  const operation = `unbind ${name}`;
  options.signal?.throwIfAborted();
  const before = requireDevice(bus, name, operation);
  if (before.driver === undefined) return { device: before, changed: false };
  await refuseUsed(bus, before, operation, options);
  unbind(bus, name, before.driver, operation);
  return { device: requireDevice(bus, name, operation), changed: true };
}

/**
 * Binds a device to a driver while a task runs, and restores its binding afterwards, whether the task fails or not.
 * @throws SystemError as {@link bindDriver} does, and EBUSY if the device is in use, whatever its driver; what the task
 * throws
 */
export async function withDriver<Result>(
  bus: VdpaBus,
  name: string,
  driver: string,
  options: BindOptions,
  task: (device: BusDevice) => Promise<Result>,
): Promise<Result> {
  const operation = `bind ${name} to ${driverName(driver)}`;
  const before = requireDevice(bus, name, operation);
  await refuseUsed(bus, before, operation, options);
  const { device } = await bindDriver(bus, name, driver, options);
  let result: Result;
  try {
    result = await task(device);
  } catch (error) {
    undo(bus, before, error);
    throw error;
  }
  restore(bus, before);
  return result;
}

/** Checks that a driver can be bound. @throws SystemError ENOENT with a hint if not */
export function requireDriver(bus: VdpaBus, driver: string, operation: string): void {
  const known = bus.drivers();
  if (isFileName(driver) && known.includes(driver)) return;
  const there = known.length === 0 ? 'none' : known.join(', ');
  const hint = `Driver ${driver} is not registered on the vdpa bus (registered: ${there}); try "modprobe ${driver}"`;
  throw new SystemError({ operation, errno: Errno.ENOENT, hint });
}

function requireDevice(bus: VdpaBus, name: string, operation: string): BusDevice {
  const device = bus.device(name);
  if (device) return device;
  const hint = bus.present ? 'No such device on the vdpa bus' : 'The kernel has no vdpa bus: modprobe vdpa';
  throw new SystemError({ operation, errno: Errno.ENODEV, hint });
}

/** Binds a device to the only driver that may bind to it. */
function bindTo(bus: VdpaBus, { name, driver }: BusDevice, wanted: string, operation: string): void {
  setOverride(bus, name, wanted, operation);
  if (driver === wanted) return;
  if (driver !== undefined) unbind(bus, name, driver, operation);
  bus.files.write(operation, `${driverFolder(wanted)}/bind`, name);
}

function unbind(bus: VdpaBus, name: string, driver: string, operation: string): void {
  bus.files.write(operation, `${driverFolder(driver)}/unbind`, name);
}

/** An empty line removes the restriction. */
function setOverride(bus: VdpaBus, name: string, driver: string | undefined, operation: string): void {
  bus.files.write(operation, `${deviceFolder(name)}/driver_override`, `${driver ?? ''}\n`);
}

/** Returns the device once its driver has created the node, interface or disk. */
async function awaitNode(
  bus: VdpaBus,
  name: string,
  wanted: string,
  operation: string,
  { timeoutMs = nodeTimeoutMs, signal }: WaitOptions,
): Promise<BusDevice> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const device = requireDevice(bus, name, operation);
    if (wanted !== VHOST_VDPA || hasNode(bus, device)) return device;
    if (performance.now() > deadline) {
      const node = device.vhost === undefined ? 'Its character device' : `/dev/${device.vhost}`;
      const hint = `${node} did not appear within ${timeoutMs} ms: is devtmpfs or udev running?`;
      throw new SystemError({ operation, errno: Errno.ETIMEDOUT, hint });
    }
    await sleep(pollMs, signal);
  }
}

async function setAccess(
  { files }: VdpaBus,
  { vhost }: BusDevice,
  operation: string,
  options: BindOptions,
): Promise<void> {
  if (options.access && vhost !== undefined) {
    await setNodeAccess(files, `/dev/${vhost}`, options.access, operation, options.signal);
  }
}

/** Whether /dev/vhost-vdpa-N exists and is the node that sysfs reports, not a remnant of another one. */
export function hasNode({ files }: VdpaBus, { name, vhost }: BusDevice): boolean {
  if (vhost === undefined) return false;
  const node = files.deviceNumber(`/dev/${vhost}`);
  return node !== undefined && files.text(`${deviceFolder(name)}/${vhost}/dev`) === `${node.major}:${node.minor}`;
}

/** Restores the previous binding of a device. @throws SystemError */
function restore(bus: VdpaBus, { name, driver, driverOverride }: BusDevice): void {
  const operation = `restore the binding of ${name} to ${driver ?? 'no driver'}`;
  const now = bus.device(name);
  if (now === undefined) return; // It was deleted in the meantime, and there is nothing to restore.
  if (now.driver !== undefined && now.driver !== driver) unbind(bus, name, now.driver, operation);
  setOverride(bus, name, driverOverride, operation);
  if (driver !== undefined && now.driver !== driver) bus.files.write(operation, `${driverFolder(driver)}/bind`, name);
}

/** The same after a failure. What cannot be restored is reported in the hint of its error. */
function undo(bus: VdpaBus, before: BusDevice, failure: unknown): void {
  try {
    restore(bus, before);
  } catch (cause) {
    if (!(cause instanceof SystemError && failure instanceof SystemError)) throw cause;
    const hint = [failure.hint, `Undoing it also failed: ${cause.message}`].filter(Boolean).join('. ');
    throw new SystemError({ operation: failure.operation, errno: failure.errno, hint, cause: failure });
  }
}
