/** Checks whether a driver has made a device usable. */
import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { sleep, type WaitOptions } from '../sys/wait.js';
import { hasNode } from '../sysfs/binding.js';
import { VHOST_VDPA, VIRTIO_VDPA, type BusDevice, type VdpaBus } from '../sysfs/bus.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import { sysfsName } from '../sysfs/bus.js';

const usableTimeoutMs = 10_000;
const pollMs = 10;

/**
 * Waits until the driver of a new device has created its node, interface or disk. Does not wait for a device without a
 * driver or with an unknown driver. `vdpa -d dev add …` does so after it has added a device.
 * @param deviceId the virtio id of its type
 * @param options the time limit is 10 s by default
 * @returns the device afterwards
 * @throws SystemError ENODEV if the device was deleted, ETIMEDOUT with what is missing after the time limit; the reason
 * of the signal
 */
export async function waitUntilUsable(
  bus: VdpaBus,
  name: string,
  deviceId: number,
  { timeoutMs = usableTimeoutMs, signal }: WaitOptions = {},
): Promise<BusDevice> {
  const operation = `wait for ${name}`;
  const deadline = monotonicMs() + timeoutMs;
  for (;;) {
    const device = bus.device(sysfsName(name));
    if (!device)
      throw new SystemError({ operation, errno: Errno.ENODEV, hint: 'The device was removed in the meantime' });
    const missing = missingOf(bus, device, deviceId);
    if (missing === undefined) return device;
    if (monotonicMs() > deadline) {
      throw new SystemError({ operation, errno: Errno.ETIMEDOUT, hint: `After ${timeoutMs / 1000} s ${missing}` });
    }
    await sleep(pollMs, signal);
  }
}

/** What is missing and what to do, as the end of a sentence; undefined if the device is usable. */
function missingOf(bus: VdpaBus, device: BusDevice, deviceId: number): string | undefined {
  const { driver, vhost, virtio, virtioDriver, netdev, block } = device;
  if (driver === VHOST_VDPA) {
    return hasNode(bus, device) ? undefined : `${nodePath(vhost)} does not exist: is devtmpfs or udev running?`;
  }
  if (driver !== VIRTIO_VDPA) return undefined;
  if (virtio === undefined) return 'virtio_vdpa has not created a virtio device';
  if (virtioDriver === undefined) return `no driver is bound to ${virtio}: ${adviceFor(deviceId)}`;
  if (deviceId === VIRTIO_ID_NET && netdev === undefined) return `${virtioDriver} has not created a network interface`;
  if (deviceId !== VIRTIO_ID_BLOCK) return undefined;
  if (block === undefined) return `${virtioDriver} has not created a disk: does its server respond?`;
  if (bus.files.deviceNumber(`/dev/${block}`) === undefined) {
    return `/dev/${block} does not exist: is devtmpfs or udev running?`;
  }
  return undefined;
}

const nodePath = (vhost: string | undefined): string => `/dev/${vhost ?? 'vhost-vdpa-N'}`;

function adviceFor(deviceId: number): string {
  if (deviceId === VIRTIO_ID_NET) return 'modprobe virtio_net';
  if (deviceId === VIRTIO_ID_BLOCK) return 'modprobe virtio_blk';
  return 'load the driver of its type';
}

/**
 * Why a VDUSE device did not become an interface or disk of this machine; undefined if virtio_vdpa is bound to it.
 * @param kind what it should have become, human-readable
 */
export function explainUnusable(bus: VdpaBus, name: string, kind: 'disk' | 'network interface'): string | undefined {
  const device = bus.device(sysfsName(name));
  if (device === undefined || device.driver === VIRTIO_VDPA) return undefined;
  const bind = `vdpa dev bind ${name} driver virtio`;
  const remedy = bus.drivers().includes(VIRTIO_VDPA) ? `"${bind}"` : `"modprobe virtio_vdpa", then "${bind}"`;
  const taker = device.driver === undefined ? 'no driver is bound to it' : `it is bound to ${device.driver}`;
  const node = device.vhost === undefined ? '' : ` as ${nodePath(device.vhost)}`;
  return `${name} is not available as a ${kind} of this machine: ${taker}${node}. To use it here, run ${remedy}.`;
}
