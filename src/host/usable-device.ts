/** What a driver makes of a device, and whether it is there to be used. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../sys/clock.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { hasNode } from '../sysfs/binding.js';
import { VHOST_VDPA, VIRTIO_VDPA, type BusDevice, type VdpaBus } from '../sysfs/bus.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import { sysfsName } from '../sysfs/bus.js';

const timeoutMs = 10_000;
const pollMs = 10;

/**
 * Waits until the driver of a new device has made its node, interface or disk. A device that no driver has taken, or one
 * whose work is not known, is waited for no longer.
 * @param deviceId the virtio id of its type
 * @returns the device as it is then
 * @throws SystemError ENODEV where the device has gone, ETIMEDOUT with what is missing where it does not come
 */
export async function waitUntilUsable(bus: VdpaBus, name: string, deviceId: number): Promise<BusDevice> {
  const operation = `wait for ${name}`;
  const deadline = monotonicMs() + timeoutMs;
  for (;;) {
    const device = bus.device(sysfsName(name));
    if (!device) throw new SystemError({ operation, errno: Errno.ENODEV, hint: 'The device has gone meanwhile' });
    const missing = missingOf(bus, device, deviceId);
    if (missing === undefined) return device;
    if (monotonicMs() > deadline) {
      throw new SystemError({ operation, errno: Errno.ETIMEDOUT, hint: `After ${timeoutMs / 1000} s ${missing}` });
    }
    await sleep(pollMs);
  }
}

/** What is not there yet, and what to do, as the end of a sentence; undefined where all is there. */
function missingOf(bus: VdpaBus, device: BusDevice, deviceId: number): string | undefined {
  const { driver, vhost, virtio, virtioDriver, netdev, block } = device;
  if (driver === VHOST_VDPA) {
    return hasNode(bus, device) ? undefined : `there is no ${nodePath(vhost)}: does devtmpfs or udev run here?`;
  }
  if (driver !== VIRTIO_VDPA) return undefined;
  if (virtio === undefined) return 'virtio_vdpa has made no virtio device';
  if (virtioDriver === undefined) return `no driver has taken ${virtio}: ${adviceFor(deviceId)}`;
  if (deviceId === VIRTIO_ID_NET && netdev === undefined) return `${virtioDriver} has made no network interface`;
  if (deviceId !== VIRTIO_ID_BLOCK) return undefined;
  if (block === undefined) return `${virtioDriver} has made no disk: does its server answer?`;
  if (bus.files.deviceNumber(`/dev/${block}`) === undefined) {
    return `there is no /dev/${block}: does devtmpfs or udev run here?`;
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
 * Why a device of a server has become no interface or disk of this machine; undefined where virtio_vdpa has taken it.
 * @param wanted what it was to become, for people
 */
export function explainUnusable(bus: VdpaBus, name: string, wanted: 'disk' | 'network interface'): string | undefined {
  const device = bus.device(sysfsName(name));
  if (device === undefined || device.driver === VIRTIO_VDPA) return undefined;
  const bind = `vdpa dev bind ${name} driver virtio`;
  const remedy = bus.drivers().includes(VIRTIO_VDPA) ? `"${bind}"` : `"modprobe virtio_vdpa", then "${bind}"`;
  const taker = device.driver === undefined ? 'no driver has taken it' : `${device.driver} has taken it`;
  const node = device.vhost === undefined ? '' : ` as ${nodePath(device.vhost)}`;
  return `${name} is no ${wanted} of this machine: ${taker}${node}. ${remedy} makes it one.`;
}
