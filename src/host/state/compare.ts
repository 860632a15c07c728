/** Finds the differences of a device from its desired state, and the changes that resolve them. */
import { deviceTypeName } from '../../virtio/classes.js';
import type { DeviceConfig, VdpaDevice } from '../../vdpa/model.js';
import { VduseError } from '../../vduse/error.js';
import { ownStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { nameFeatures, type ActualDevice } from './actual.js';
import { compareNode } from './node.js';
import type { Addition, Adjustment, Difference, NewDevice, Replacement } from './change.js';
import { serverChangeFor, serverStartFor, VDUSE, type ServerStart } from './servers.js';

/** @throws VduseError if the device does not support the desired server */
export function additionOf(device: NewDevice, instance: VduseInstance | undefined): Addition {
  const { name } = device.spec;
  if (!isOfVduse(device.spec)) return { action: 'add', name, device };
  return { action: 'add', name, device, start: serverStartFor(name, device.server, instance) };
}

export const isOfVduse = ({ managementDevice }: Pick<VdpaDevice, 'managementDevice'>): boolean =>
  managementDevice === VDUSE;

/** @throws VduseError if the device does not support the desired server */
export function changesOf(
  device: NewDevice,
  actual: ActualDevice,
  instance: VduseInstance | undefined,
): (Replacement | Adjustment)[] {
  const { name, mac } = device.spec;
  const isVduse = isOfVduse(actual.device);
  const ofServer = device.server && instance && isVduse ? serverChangeFor(name, device.server, instance) : undefined;
  const ofDevice = compareDevice(device, actual.device, actual.config);
  // The address of a device with an address can be changed, but not of a VDUSE device.
  const settable = ofDevice.filter(({ key }) => key === 'mac' && hasMac(actual.config) && !isVduse);
  const lasting = ofServer && !ofServer.takeOver ? ofServer.differences : [];
  if (ofDevice.length > settable.length || lasting.length > 0) {
    if (isVduse && isOfVduse(device.spec) && !device.server) {
      throw new VduseError(
        `the server of ${name} decides its attributes: ${ofDevice.map(describeDifference).join(', ')}`,
      );
    }
    const losesMemory = isVduse && ownStatus(instance)?.device.backend === 'ram';
    const start = isOfVduse(device.spec) && startAnew(device, actual, instance);
    const differences = [...ofDevice, ...(ofServer?.differences ?? [])];
    const replacement: Replacement = { action: 'replace', name, device, actual, differences };
    return [{ ...replacement, ...(start && { start }), ...(losesMemory && { losesMemory }) }];
  }
  const changes: Adjustment[] = [];
  if (ofServer?.takeOver) {
    changes.push({ action: 'serve', name, server: ofServer.takeOver, differences: ofServer.differences });
  }
  if (mac && settable.length > 0) changes.push({ action: 'set', name, mac, actual, differences: settable });
  const { driver, node } = device;
  const differences = driver === undefined ? [] : compareDriver(driver, device, actual);
  if (driver !== undefined && differences.length > 0) {
    changes.push({ action: 'bind', name, driver, actual, differences, ...(node && { node }) });
  }
  return changes;
}

/** A node that a device gets by a change of driver is reported with the driver. */
function compareDriver(driver: string | null, { node }: NewDevice, actual: ActualDevice): Difference[] {
  const bound = actual.onBus?.driver ?? null;
  if (driver === bound) return compareNode(node, actual.node);
  return [{ key: 'driver', from: bound ?? '(none)', to: driver ?? '(none)' }, ...compareNode(node, undefined)];
}

/** How a device gets a server after the old one has ended. @throws VduseError */
function startAnew(
  { spec, server }: NewDevice,
  { device }: ActualDevice,
  instance: VduseInstance | undefined,
): ServerStart {
  // A server of vdpa is removed with its device; the remains of a dead one are removed.
  const left = isOfVduse(device) && ownStatus(instance) ? undefined : instance;
  return serverStartFor(spec.name, server, left);
}

const describeDifference = ({ key, from, to }: Difference): string => `${key} is ${from}, not ${to}`;

function hasMac(config: DeviceConfig | undefined): boolean {
  return config?.kind === 'net' && config.mac !== undefined;
}

/**
 * Returns the differences of a device from its desired state, except its driver. Values that the kernel does not report
 * do not differ.
 */
export function compareDevice(
  { spec, deviceId }: NewDevice,
  device: VdpaDevice,
  config: DeviceConfig | undefined,
): Difference[] {
  const differences: Difference[] = [];
  const compare = (key: Difference['key'], to: string | undefined, from: string | undefined): void => {
    if (to !== undefined && to !== from) differences.push({ key, from: from ?? '(none)', to });
  };
  compare('mgmtdev', spec.managementDevice, device.managementDevice);
  compare('type', deviceId === undefined ? undefined : deviceTypeName(deviceId), deviceTypeName(device.deviceId));
  if (!config) return differences;
  const net = config.kind === 'net' ? config : undefined;
  compare('mac', spec.mac, net?.mac);
  compare('mtu', spec.mtu?.toString(), net?.mtu?.toString());
  // A device without multiqueue does not report a number of pairs: it has one.
  compare('max_vqp', spec.maxVirtqueuePairs?.toString(), net && (net.maxVirtqueuePairs ?? 1).toString());
  if (spec.features !== undefined && config.deviceFeatures !== undefined) {
    const names = (features: bigint): string => nameFeatures(features, device.deviceId).join(',');
    compare('device_features', names(spec.features), names(config.deviceFeatures));
  }
  return differences;
}
