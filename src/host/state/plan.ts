/** The difference between the devices that there are and those that are wanted, as changes to make. */
import { className, deviceClasses } from '../../virtio/classes.js';
import { featureBit } from '../../virtio/features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { formatMac } from '../../virtio/mac-address.js';
import type { DeviceSpec } from '../../vdpa/encode.js';
import { formatHandle, type DeviceConfig, type ManagementDevice, type VdpaDevice } from '../../vdpa/model.js';
import { nameFeatures, type ActualDevice } from './actual.js';
import { VduseError } from '../../vduse/error.js';
import type { ServedDevice } from '../../vduse/service/served-device.js';
import { ownStatus, type VduseInstance } from '../../vduse/service/servers.js';
import { changeOfServer, startOf, VDUSE, type ServerKey, type ServerStart, type WantedServer } from './served.js';
import { StateFileError, type WantedDevice, type WantedState } from './wanted.js';

/** An attribute that is not as it is wanted, both as people write them. */
export interface Difference {
  readonly key: 'mgmtdev' | 'type' | 'mac' | 'mtu' | 'max_vqp' | 'device_features' | 'driver' | 'server' | ServerKey;
  readonly from: string;
  readonly to: string;
}

/** A device that is to be made: what the kernel is asked for, and the driver that is to have it. */
export interface NewDevice {
  readonly spec: DeviceSpec;
  readonly deviceId: number | undefined;
  /** The server of a VDUSE device. */
  readonly server?: WantedServer;
  readonly driver?: string | null;
}

/** One change to a machine. `replace` deletes a device and makes it anew: what differs cannot be changed while it lives. */
export type Change =
  | { readonly action: 'delete'; readonly name: string; readonly actual: ActualDevice }
  | {
      readonly action: 'add';
      readonly name: string;
      readonly device: NewDevice;
      /** Where the device is one of VDUSE. */
      readonly start?: ServerStart;
    }
  | {
      readonly action: 'replace';
      readonly name: string;
      readonly device: NewDevice;
      readonly actual: ActualDevice;
      readonly differences: readonly Difference[];
      /** Where the new device is one of VDUSE. */
      readonly start?: ServerStart;
      /** What is in the old device's memory will be lost. */
      readonly losesMemory?: boolean;
    }
  /** A VDUSE device whose server has died gets another one. */
  | {
      readonly action: 'serve';
      readonly name: string;
      readonly server: ServedDevice;
      readonly differences: readonly Difference[];
    }
  | {
      readonly action: 'set';
      readonly name: string;
      readonly mac: Uint8Array;
      readonly differences: readonly Difference[];
    }
  /** `driver` null: no driver is to have it. */
  | {
      readonly action: 'bind';
      readonly name: string;
      readonly driver: string | null;
      readonly differences: readonly Difference[];
    };

/** What there is to plan with. */
export interface Surroundings {
  readonly managementDevices: readonly ManagementDevice[];
  /** The drivers on the vdpa bus; undefined where the machine has none, which is the simulation. */
  readonly drivers: readonly string[] | undefined;
  /** What VDUSE servers have made; needed where a device of VDUSE is wanted. */
  readonly instances?: readonly VduseInstance[];
}

/**
 * Plans: deletions first, which make room, then the file's devices in its order. The same state again gives no changes.
 * @param prune whether devices that the file does not name are deleted
 * @throws StateFileError, before anything is changed, for a device that cannot be as the file wants it
 */
export function planChanges(
  wanted: WantedState,
  actual: readonly ActualDevice[],
  surroundings: Surroundings,
  { prune }: { readonly prune: boolean },
): Change[] {
  const names = new Set(wanted.devices.map(({ name }) => name));
  const present = new Map(actual.map((device) => [device.device.name, device]));
  const deletions = prune ? actual.filter(({ device }) => !names.has(device.name)) : [];
  return [
    ...deletions.map((device): Change => ({ action: 'delete', name: device.device.name, actual: device })),
    ...wanted.devices.flatMap((device) => {
      const resolved = resolve(device, wanted, surroundings);
      const there = present.get(device.name);
      const instance = surroundings.instances?.find(({ name }) => name === device.name);
      try {
        return there ? changesOf(resolved, there, instance) : [addition(resolved, instance)];
      } catch (error) {
        if (error instanceof VduseError) throw new StateFileError(`${wanted.place(device, 'server')} ${error.message}`);
        throw error;
      }
    }),
  ];
}

/** @throws VduseError where the device cannot have the server that it is wanted with */
function addition(device: NewDevice, instance: VduseInstance | undefined): Change {
  const { name } = device.spec;
  if (!isOfVduse(device.spec)) return { action: 'add', name, device };
  return { action: 'add', name, device, start: startOf(name, device.server, instance) };
}

const isOfVduse = ({ managementDevice }: Pick<VdpaDevice, 'managementDevice'>): boolean =>
  formatHandle(managementDevice) === VDUSE;

/** @throws VduseError where the device cannot have the server that it is wanted with */
function changesOf(device: NewDevice, actual: ActualDevice, instance: VduseInstance | undefined): Change[] {
  const { name, mac } = device.spec;
  const isVduse = isOfVduse(actual.device);
  const ofServer = device.server && instance && isVduse ? changeOfServer(name, device.server, instance) : undefined;
  const ofDevice = compareDevice(device, actual.device, actual.config);
  // A device that has an address can be given another while it lives, but not by VDUSE.
  const settable = ofDevice.filter(({ key }) => key === 'mac' && hasMac(actual.config) && !isVduse);
  const lasting = ofServer && !ofServer.takeOver ? ofServer.differences : [];
  if (ofDevice.length > settable.length || lasting.length > 0) {
    if (isVduse && isOfVduse(device.spec) && !device.server) {
      throw new VduseError(`its server decides what ${name} is: ${ofDevice.map(describeDifference).join(', ')}`);
    }
    const losesMemory = isVduse && ownStatus(instance)?.backend === 'ram';
    const start = isOfVduse(device.spec) && startAnew(device, actual, instance);
    const differences = [...ofDevice, ...(ofServer?.differences ?? [])];
    return [
      {
        action: 'replace',
        name,
        device,
        actual,
        differences,
        ...(start && { start }),
        ...(losesMemory && { losesMemory }),
      },
    ];
  }
  const changes: Change[] = [];
  if (ofServer?.takeOver) {
    changes.push({ action: 'serve', name, server: ofServer.takeOver, differences: ofServer.differences });
  }
  if (mac && settable.length > 0) changes.push({ action: 'set', name, mac, differences: settable });
  const { driver } = device;
  const bound = actual.onBus?.driver ?? null;
  if (driver !== undefined && driver !== bound) {
    const difference: Difference = { key: 'driver', from: bound ?? '(none)', to: driver ?? '(none)' };
    changes.push({ action: 'bind', name, driver, differences: [difference] });
  }
  return changes;
}

/** How a device gets its server when the old one is gone. @throws VduseError */
function startAnew(
  { spec, server }: NewDevice,
  { device }: ActualDevice,
  instance: VduseInstance | undefined,
): ServerStart {
  // A server of ours goes with its device; what a dead one has left is taken away.
  const left = isOfVduse(device) && ownStatus(instance) ? undefined : instance;
  return startOf(spec.name, server, left);
}

const describeDifference = ({ key, from, to }: Difference): string => `${key} is ${from}, not ${to}`;

function hasMac(config: DeviceConfig | undefined): boolean {
  return config?.kind === 'net' && config.mac !== undefined;
}

/** What of a device is not as it is wanted, but for its driver. */
export function compareDevice(
  { spec, deviceId }: NewDevice,
  device: VdpaDevice,
  config: DeviceConfig | undefined,
): Difference[] {
  const net = config?.kind === 'net' ? config : undefined;
  const differences: Difference[] = [];
  const compare = (key: Difference['key'], to: string | undefined, from: string | undefined): void => {
    if (to !== undefined && to !== from) differences.push({ key, from: from ?? '(none)', to });
  };
  compare('mgmtdev', formatHandle(spec.managementDevice), formatHandle(device.managementDevice));
  compare('type', deviceId === undefined ? undefined : className(deviceId), className(device.deviceId));
  compare('mac', spec.mac && formatMac(spec.mac), net?.mac && formatMac(net.mac));
  compare('mtu', spec.mtu?.toString(), net?.mtu?.toString());
  // A device without multiqueue tells no number of pairs: it has one.
  compare('max_vqp', spec.maxVirtqueuePairs?.toString(), net && (net.maxVirtqueuePairs ?? 1).toString());
  const names = (features: bigint | undefined): string | undefined =>
    features === undefined ? undefined : nameFeatures(features, device.deviceId).join(',');
  compare('device_features', names(spec.features), names(config?.deviceFeatures));
  return differences;
}

/** Checks a device against the machine, and turns names into numbers. @throws StateFileError */
function resolve(wanted: WantedDevice, state: WantedState, { managementDevices, drivers }: Surroundings): NewDevice {
  const { name, managementDevice, mac, mtu, maxVirtqueuePairs, driver } = wanted;
  const handle = formatHandle(managementDevice);
  const refuse = (key: string, reason: string): never => {
    throw new StateFileError(`${state.place(wanted, key)} ${reason}`);
  };
  const management = managementDevices.find((candidate) => formatHandle(candidate) === handle);
  if (!management) return refuse('mgmtdev', `there is no management device ${handle}`);
  const classes = deviceClasses(management.supportedClasses ?? 0n);
  const typeId = wanted.type && (wanted.type === 'net' ? VIRTIO_ID_NET : VIRTIO_ID_BLOCK);
  if (typeId !== undefined && !classes.includes(typeId))
    refuse('type', `${handle} makes no ${wanted.type ?? ''} devices`);
  if (driver !== undefined) {
    if (drivers === undefined) refuse('driver', 'the simulated machine has no drivers to bind');
    else if (driver !== null && !drivers.includes(driver)) {
      refuse('driver', `the vdpa bus has no driver ${driver}; if it is a module, load it: modprobe ${driver}`);
    }
  }
  const deviceId = typeId ?? (classes.length === 1 ? classes[0] : undefined);
  const features = wanted.features?.reduce((bits, word, index) => {
    const bit = featureBit(word, deviceId);
    return bit === undefined
      ? refuse(`device_features/${index}`, `${word} is no feature that such a device has`)
      : bits | (1n << BigInt(bit));
  }, 0n);
  return {
    spec: {
      name,
      managementDevice,
      ...(mac && { mac }),
      ...(mtu !== undefined && { mtu }),
      ...(maxVirtqueuePairs !== undefined && { maxVirtqueuePairs }),
      ...(features !== undefined && { features }),
    },
    deviceId: typeId,
    ...(wanted.server && { server: wanted.server }),
    ...(driver !== undefined && { driver }),
  };
}
