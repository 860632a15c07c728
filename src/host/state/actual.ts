/** The devices of a machine as they are, and that as a file. */
import type { BusDevice, VdpaBus } from '../../sysfs/bus.js';
import { className } from '../../virtio/classes.js';
import { featureBits, featureName } from '../../virtio/features.js';
import { formatMac } from '../../virtio/mac-address.js';
import type { VdpaClient } from '../../vdpa/client.js';
import { formatHandle, type DeviceConfig, type VdpaDevice } from '../../vdpa/model.js';
import type { DeviceEntry, StateFile } from './wanted.js';

/** A device, by what netlink and sysfs tell of it. */
export interface ActualDevice {
  readonly device: VdpaDevice;
  /** Absent for a device that tells none. */
  readonly config?: DeviceConfig;
  /** Absent on a machine without a vdpa bus: the simulation. */
  readonly onBus?: BusDevice;
}

/**
 * Reads all devices.
 * @param bus undefined on the simulation
 * @throws NetlinkError, SystemError
 */
export async function readActualDevices(client: VdpaClient, bus: VdpaBus | undefined): Promise<ActualDevice[]> {
  const devices = await client.devices();
  const configs = new Map((await client.deviceConfigs()).map((config) => [config.name, config]));
  return devices.map((device) => {
    const config = configs.get(device.name);
    const onBus = bus?.device(device.name);
    return { device, ...(config && { config }), ...(onBus && { onBus }) };
  });
}

/** What a file says so that these devices come again: all of them, with all that the kernel tells. */
export function toStateFile(devices: readonly ActualDevice[]): StateFile {
  return { version: 1, devices: devices.map(toEntry) };
}

function toEntry({ device, config, onBus }: ActualDevice): DeviceEntry {
  const type = className(device.deviceId);
  const net = config?.kind === 'net' ? config : undefined;
  // Devices without an address of their own tell one of zeros, which cannot be set.
  const mac = net?.mac?.some((byte) => byte !== 0) === true ? net.mac : undefined;
  const features = config?.deviceFeatures;
  return {
    name: device.name,
    mgmtdev: formatHandle(device.managementDevice),
    ...((type === 'net' || type === 'block') && { type }),
    ...(mac && { mac: formatMac(mac) }),
    ...(net?.mtu !== undefined && { mtu: net.mtu }),
    ...(net?.maxVirtqueuePairs !== undefined && { max_vqp: net.maxVirtqueuePairs }),
    ...(features !== undefined && { device_features: nameFeatures(features, device.deviceId) }),
    ...(onBus && { driver: onBus.driver ?? null }),
  };
}

/** The names of feature bits; `bit_N` for one without. */
export function nameFeatures(features: bigint, deviceId: number): string[] {
  return featureBits(features).map((bit) => featureName(bit, deviceId) ?? `bit_${bit}`);
}
