/** The drivers of the vdpa bus: which one takes a device, and what it makes of it. drivers/base/bus.c and dd.c */
import { Errno } from '../../sys/errno.js';
import { Refusal } from '../netlink/refusal.js';
import type { BusDriverName, DeviceState, DriverBinding, MachineState, SimState } from '../state/model.js';
import { lowestFree } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import { findDevice, openDevice, replaceDevice } from './devices.js';
import { holdersOf, NodeHeldError } from './holders.js';
import { devicePath } from './places.js';
import { broadcast } from './uevents.js';
import { startVirtio, stopVirtio } from './virtio-bus.js';

/** The drivers, in the order of their registration, which is the order in which they are tried. */
const registered: Readonly<Record<MachineState['bus_driver'], readonly BusDriverName[]>> = {
  virtio_vdpa: ['virtio_vdpa', 'vhost_vdpa'],
  vhost_vdpa: ['vhost_vdpa', 'virtio_vdpa'],
  none: [],
};

/** The drivers of a machine, in that order. */
export function busDrivers({ machine }: SimState): readonly BusDriverName[] {
  return registered[machine.bus_driver];
}

/** drivers/vdpa/vdpa.c, vdpa_dev_match(): a driver takes any device, unless driver_override names another one. */
function matches({ driver_override: only }: DeviceState, driver: string): boolean {
  return only === undefined || only === driver;
}

/** Offers a new device to the drivers. Without autoprobe it waits for somebody who binds it. */
export function offerDevice(draft: MachineDraft, device: DeviceState): void {
  if (draft.kernel.autoprobe) attachAny(draft, device);
}

/** Binds the first driver that accepts a device; what others answer does not matter. */
function attachAny(draft: MachineDraft, device: DeviceState): void {
  for (const driver of busDrivers(draft)) {
    if (!matches(device, driver)) continue;
    try {
      attach(draft, device, driver);
      return;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}

/** @throws Refusal EINVAL if the driver cannot use the device */
function attach(draft: MachineDraft, device: DeviceState, driver: BusDriverName): void {
  const opened = openDevice(draft, device);
  if (opened.maxVirtqueueSize < opened.minVirtqueueSize) throw new Refusal(Errno.EINVAL);
  if (driver === 'vhost_vdpa') {
    const minor = lowestFree(draft.devices.map(({ binding }) => minorOf(binding)));
    replaceDevice(draft, device, { ...device, binding: { driver, minor } });
  } else {
    if (opened.deviceId === 0) throw new Refusal(Errno.EINVAL);
    replaceDevice(draft, device, startVirtio(draft, device, opened));
  }
  const variables = { DRIVER: driver };
  broadcast(draft, { action: 'bind', devpath: devicePath(draft, device), subsystem: 'vdpa', variables });
}

function minorOf(binding: DriverBinding | undefined): number | undefined {
  return binding?.driver === 'vhost_vdpa' ? binding.minor : undefined;
}

/**
 * Unbinds a device from its driver, if it has one.
 * @returns the device afterwards
 * @throws NodeHeldError while a process has its node open
 */
export function detach(draft: MachineDraft, device: DeviceState): DeviceState {
  const { binding, ...unbound } = device;
  if (binding === undefined) return device;
  if (binding.driver === 'virtio_vdpa') stopVirtio(draft, device, binding);
  else if (holdersOf(draft, `vhost-vdpa-${binding.minor}`).length > 0) throw new NodeHeldError();
  replaceDevice(draft, device, unbound);
  broadcast(draft, { action: 'unbind', devpath: devicePath(draft, device), subsystem: 'vdpa' });
  return unbound;
}

/** A device by its name in a file, which may end with a line break: sysfs_streq(). @throws Refusal ENODEV */
function namedDevice(state: SimState, text: string): DeviceState {
  const device = findDevice(state, text.replace(/\n$/, ''));
  if (device === undefined) throw new Refusal(Errno.ENODEV);
  return device;
}

/** A write to `bind` of a driver. @throws Refusal */
export function bindByName(draft: MachineDraft, driver: BusDriverName, text: string): void {
  const device = namedDevice(draft, text);
  if (!matches(device, driver)) throw new Refusal(Errno.ENODEV);
  if (device.binding !== undefined) throw new Refusal(Errno.EBUSY);
  attach(draft, device, driver);
}

/** A write to `unbind` of a driver. @throws Refusal, NodeHeldError */
export function unbindByName(draft: MachineDraft, driver: BusDriverName, text: string): void {
  const device = namedDevice(draft, text);
  if (device.binding?.driver !== driver) throw new Refusal(Errno.ENODEV);
  detach(draft, device);
}

/** A write to `drivers_probe` of the bus. @throws Refusal */
export function probeByName(draft: MachineDraft, text: string): void {
  const device = namedDevice(draft, text);
  if (device.binding === undefined) attachAny(draft, device);
}

/** A write to `drivers_autoprobe` of the bus. */
export function setAutoprobe(draft: MachineDraft, text: string): void {
  draft.kernel = { ...draft.kernel, autoprobe: !text.startsWith('0') };
}

/** The size of a page, which limits what a file of sysfs holds. */
const PAGE_SIZE = 4096;

/** A write to `driver_override` of a device. @throws Refusal EINVAL if it is too long */
export function setOverride(draft: MachineDraft, device: DeviceState, text: string): void {
  if (Buffer.byteLength(text) >= PAGE_SIZE - 1) throw new Refusal(Errno.EINVAL);
  const [driver = ''] = text.split(/[\0\n]/, 1);
  const { driver_override: before, ...rest } = device;
  if (driver !== (before ?? '')) {
    replaceDevice(draft, device, driver === '' ? rest : { ...rest, driver_override: driver });
  }
}
