/** A snapshot of a device before its deletion, to create it again. */
import { fromEntry } from '../../vduse/spec/arguments.js';
import { ownStatus } from '../../vduse/daemon/servers.js';
import { ownMac, type ActualDevice } from './actual.js';
import type { NewDevice } from './change.js';
import { isOfVduse } from './compare.js';
import type { Machine } from './make.js';
import type { ServerStart } from './servers.js';

/** Everything needed to restore a device. */
export interface DeviceSnapshot {
  readonly device: NewDevice;
  readonly start?: ServerStart;
}

/** A server that does not respond is not recorded. */
export async function takeSnapshot({ servers }: Machine, actual: ActualDevice): Promise<DeviceSnapshot> {
  const { device, config, onBus, node } = actual;
  const { name, managementDevice, deviceId } = device;
  const driver = { ...(onBus && { driver: onBus.driver ?? null }), ...(node && { node }) };
  if (isOfVduse(device)) {
    const [instance] = (await servers?.list(name).catch(() => [])) ?? [];
    const status = ownStatus(instance);
    const start: ServerStart = status
      ? { how: 'start', device: fromEntry(name, status.device), stale: false }
      : { how: 'running' };
    return { device: { spec: { name, managementDevice }, deviceId, ...driver }, start };
  }
  const net = config?.kind === 'net' ? config : undefined;
  const mac = ownMac(config);
  const features = config?.deviceFeatures;
  const spec = {
    name,
    managementDevice,
    ...(mac && { mac }),
    ...(net?.mtu !== undefined && { mtu: net.mtu }),
    ...(net?.maxVirtqueuePairs !== undefined && { maxVirtqueuePairs: net.maxVirtqueuePairs }),
    ...(features !== undefined && { features }),
  };
  return { device: { spec, deviceId, ...driver } };
}
