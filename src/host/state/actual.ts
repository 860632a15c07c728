/** The devices of a machine as they are, and that as a file. */
import { NetlinkError } from '../../netlink/error.js';
import type { BusDevice, VdpaBus } from '../../sysfs/bus.js';
import { className } from '../../virtio/classes.js';
import { featureBits, featureName } from '../../virtio/features.js';
import { formatMac } from '../../virtio/mac-address.js';
import type { VdpaClient } from '../../vdpa/client.js';
import { formatHandle, type DeviceConfig, type VdpaDevice } from '../../vdpa/model.js';
import { ownStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { readNode, wordsOfNode, type NodeOwnership } from './node.js';
import { serverArgumentsOf, VDUSE } from './servers.js';
import type { DeviceEntry, StateFile } from './file.js';

/** A device, by what netlink and sysfs tell of it. */
export interface ActualDevice {
  readonly device: VdpaDevice;
  /** Absent where the kernel does not tell it. */
  readonly config?: DeviceConfig;
  /** Why the kernel does not tell the configuration: EOPNOTSUPP for a device that is neither net nor block. */
  readonly unknownConfig?: NetlinkError;
  /** Absent on a machine without a vdpa bus: the simulation. */
  readonly onBus?: BusDevice;
  /** Who may open its node, where vhost_vdpa has it. */
  readonly node?: NodeOwnership;
}

/**
 * Reads all devices. One that goes meanwhile is left out.
 * @param bus undefined on the simulation
 * @throws NetlinkError, SystemError
 */
export async function readActualDevices(client: VdpaClient, bus: VdpaBus | undefined): Promise<ActualDevice[]> {
  const devices = await client.devices();
  const configs = await client.readDeviceConfigs(devices);
  const actual: ActualDevice[] = [];
  for (const device of devices) {
    const config = configs.get(device.name);
    // It has gone meanwhile.
    if (!config) continue;
    const onBus = bus?.device(device.name);
    const known = config instanceof NetlinkError ? { unknownConfig: config } : { config };
    const node = bus && onBus && (await readNode(bus, onBus));
    actual.push({ device, ...known, ...(onBus && { onBus }), ...(node && { node }) });
  }
  return actual;
}

/** Whether one of the devices is of VDUSE: only then its servers have to be asked. */
export function hasVduseDevice(devices: readonly Pick<VdpaDevice, 'managementDevice'>[]): boolean {
  return devices.some(({ managementDevice }) => formatHandle(managementDevice) === VDUSE);
}

/**
 * What a file says so that these devices come again: all of them, with all that the kernel and servers of ours tell.
 * @param instances of VDUSE; without them the file has no servers
 */
export function toStateFile(devices: readonly ActualDevice[], instances: readonly VduseInstance[] = []): StateFile {
  const known = new Map(instances.map((instance) => [instance.name, instance]));
  return { version: 1, devices: devices.map((device) => toEntry(device, known.get(device.device.name))) };
}

function toEntry({ device, config, onBus, node }: ActualDevice, instance: VduseInstance | undefined): DeviceEntry {
  const type = className(device.deviceId);
  const net = config?.kind === 'net' ? config : undefined;
  const mac = ownMac(config);
  const status = ownStatus(instance);
  const server = status && serverArgumentsOf(status);
  // What a VDUSE device offers is its server's choice, and may be more with a later version of the server.
  const isVduse = formatHandle(device.managementDevice) === VDUSE;
  const features = isVduse ? undefined : config?.deviceFeatures;
  return {
    name: device.name,
    mgmtdev: formatHandle(device.managementDevice),
    ...((type === 'net' || type === 'block') && { type }),
    ...(mac && { mac: formatMac(mac) }),
    ...(net?.mtu !== undefined && { mtu: net.mtu }),
    ...(net?.maxVirtqueuePairs !== undefined && { max_vqp: net.maxVirtqueuePairs }),
    ...(features !== undefined && { device_features: nameFeatures(features, device.deviceId) }),
    ...(server && { server }),
    ...(onBus && { driver: onBus.driver ?? null }),
    ...wordsOfNode(node),
  };
}

/** The address of a network device. One without an address of its own tells one of zeros, which cannot be set. */
export function ownMac(config: DeviceConfig | undefined): Uint8Array | undefined {
  return config?.kind === 'net' && config.mac?.some((byte) => byte !== 0) === true ? config.mac : undefined;
}

/** The names of feature bits; `bit_N` for one without. */
export function nameFeatures(features: bigint, deviceId: number): string[] {
  return featureBits(features).map((bit) => featureName(bit, deviceId) ?? `bit_${bit}`);
}
