/** The actual devices of a machine, and their state file. */
import { NetlinkError } from '../../netlink/error.js';
import type { BusDevice, VdpaBus } from '../../sysfs/bus.js';
import { deviceTypeName } from '../../virtio/classes.js';
import { featureBits, featureName } from '../../virtio/features.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { DeviceConfig, VdpaDevice } from '../../vdpa/model.js';
import { ownStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { readNode, nodeEntryOf, type NodeOwnership } from './node.js';
import { serverArgumentsOf, VDUSE } from './servers.js';
import type { DeviceEntry, StateFile } from './file.js';

/** A device with its data from netlink and sysfs. */
export interface ActualDevice {
  readonly device: VdpaDevice;
  /** Absent if the kernel does not report it. */
  readonly config?: DeviceConfig;
  /** Why the kernel does not report the configuration: EOPNOTSUPP for a device that is neither net nor block. */
  readonly unknownConfig?: NetlinkError;
  /** Absent if the bus was not read, or the device is no longer on it. */
  readonly onBus?: BusDevice;
  /** Permissions of its node, if vhost_vdpa is bound to it. */
  readonly node?: NodeOwnership;
}

/**
 * Reads all devices. Devices deleted in the meantime are omitted.
 *
 * Command line: Part of `vdpa save`.
 * @param bus without it, drivers and nodes are not read
 * @throws NetlinkError, SystemError
 */
export async function readActualDevices(client: VdpaClient, bus: VdpaBus | undefined): Promise<ActualDevice[]> {
  const devices = await client.devices();
  const configs = await client.readDeviceConfigs(devices);
  const actual: ActualDevice[] = [];
  for (const device of devices) {
    const config = configs.get(device.name);
    // It was deleted in the meantime.
    if (!config) continue;
    const onBus = bus?.device(device.name);
    const known = config instanceof NetlinkError ? { unknownConfig: config } : { config };
    const node = bus && onBus && (await readNode(bus, onBus));
    actual.push({ device, ...known, ...(onBus && { onBus }), ...(node && { node }) });
  }
  return actual;
}

/** Whether there is a VDUSE device: only then the servers must be queried. */
export function hasVduseDevice(devices: readonly Pick<VdpaDevice, 'managementDevice'>[]): boolean {
  return devices.some(({ managementDevice }) => managementDevice === VDUSE);
}

/**
 * Returns the state file that creates these devices again: all devices, with everything that the kernel and vdpa's
 * servers report.
 *
 * Command line: `vdpa save`.
 * @param instances VDUSE instances; without them the file has no servers
 */
export function toStateFile(devices: readonly ActualDevice[], instances: readonly VduseInstance[] = []): StateFile {
  const known = new Map(instances.map((instance) => [instance.name, instance]));
  return { version: 1, devices: devices.map((device) => toEntry(device, known.get(device.device.name))) };
}

function toEntry({ device, config, onBus, node }: ActualDevice, instance: VduseInstance | undefined): DeviceEntry {
  const type = deviceTypeName(device.deviceId);
  const net = config?.kind === 'net' ? config : undefined;
  const mac = ownMac(config);
  const status = ownStatus(instance);
  const server = status && serverArgumentsOf(status);
  // The server of a VDUSE device chooses its features, and a later version may offer more.
  const isVduse = device.managementDevice === VDUSE;
  const features = isVduse ? undefined : config?.deviceFeatures;
  return {
    name: device.name,
    mgmtdev: device.managementDevice,
    ...((type === 'net' || type === 'block') && { type }),
    ...(mac && { mac }),
    ...(net?.mtu !== undefined && { mtu: net.mtu }),
    ...(net?.maxVirtqueuePairs !== undefined && { max_vqp: net.maxVirtqueuePairs }),
    ...(features !== undefined && { device_features: nameFeatures(features, device.deviceId) }),
    ...(server && { server }),
    ...(onBus && { driver: onBus.driver ?? null }),
    ...nodeEntryOf(node),
  };
}

/** What a device without an address reports. */
const NO_MAC = '00:00:00:00:00:00';

/** The address of a network device. A device without one reports zeros, which cannot be set. */
export function ownMac(config: DeviceConfig | undefined): string | undefined {
  const mac = config?.kind === 'net' ? config.mac : undefined;
  return mac === NO_MAC ? undefined : mac;
}

/** The names of feature bits; `bit_N` for bits without a name. */
export function nameFeatures(features: bigint, deviceId: number): string[] {
  return featureBits(features).map((bit) => featureName(bit, deviceId) ?? `bit_${bit}`);
}
