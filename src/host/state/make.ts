/** Makes one change. */
import { NetlinkError } from '../../netlink/error.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { bindDriver, unbindDriver } from '../../sysfs/binding.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import { refuseUnserved } from '../../sysfs/instance-server.js';
import { refuseUsed } from '../../sysfs/removal.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { DeviceSpec } from '../../vdpa/encode.js';
import { withoutServerAttributes } from '../attach-vduse.js';
import type { DeviceConfig } from '../../vdpa/model.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../vdpa/uapi.js';
import { machineServers } from '../../vduse/daemon/machine-servers.js';
import type { VduseServers } from '../../vduse/daemon/servers.js';
import { deleteDevice } from '../delete-device.js';
import type { ActualDevice } from './actual.js';
import type { Adjustment, NewDevice } from './change.js';
import { compareDevice } from './compare.js';
import type { NodeOwnership } from './node.js';
import { messageOf } from './reasons.js';
import { VDUSE, type ServerStart } from './servers.js';

/** The context for making changes. */
export interface Machine {
  readonly client: VdpaClient;
  /** undefined if drivers and users are not to be considered. */
  readonly bus: VdpaBus | undefined;
  /** The servers of the machine's VDUSE devices; needed where there are such devices. */
  readonly servers?: VduseServers | undefined;
  /** Change devices in use, and discard data in memory. */
  readonly force: boolean;
}

/** Changes a device in place. A failure leaves it unchanged. */
export function adjust(machine: Machine, change: Adjustment): Promise<void> {
  switch (change.action) {
    case 'serve':
      return serversOf(machine, change.name).takeOver(change.server);
    case 'set':
      return machine.client.setDevice(change.name, { mac: change.mac });
    case 'bind':
      return setDriver(machine, change.name, change.driver, change.node);
  }
}

/**
 * Deletes a device, and stops its server if it is one of vdpa.
 * @param signal ends the wait for a server that is being replaced; the device is left as it is then
 * @throws the reason of the signal
 */
export async function remove(machine: Machine, actual: ActualDevice, signal?: AbortSignal): Promise<void> {
  const { bus, force } = machine;
  const { name, managementDevice } = actual.device;
  // The plan has checked this already, but the device may be in use since.
  if (bus && actual.onBus) {
    if (managementDevice === VDUSE) await (machine.servers ?? machineServers).awaitReplacement(name, signal);
    await refuseUsed(bus, actual.onBus, `delete ${name}`, { force });
  }
  await machine.client.deleteDevice(name);
  if (managementDevice === VDUSE) await machine.servers?.end(name);
}

/**
 * Creates a device, with its server for a VDUSE device. If a step fails, both are removed.
 * @param signal ends the wait for a server that is being replaced; the device is not created then
 * @throws the reason of the signal
 */
export async function add(
  machine: Machine,
  device: NewDevice,
  start: ServerStart | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { name } = device.spec;
  if (start?.how !== 'start') return addToBus(machine, device, signal);
  const servers = serversOf(machine, name);
  if (start.stale) await servers.remove(name, () => deleteDevice(machine.client, machine.bus, name, machine));
  return servers.add(start.device, () => addToBus(machine, device, signal, withoutServerAttributes(device.spec)));
}

/**
 * Creates a device, checks that it is as desired, and binds it. If a step fails, it is deleted.
 * @param request the request to the kernel
 */
async function addToBus(
  machine: Machine,
  device: NewDevice,
  signal: AbortSignal | undefined,
  request: DeviceSpec = device.spec,
): Promise<void> {
  const { client, bus } = machine;
  const { name } = device.spec;
  if (bus && device.spec.managementDevice === VDUSE) {
    await (machine.servers ?? machineServers).awaitReplacement(name, signal);
    refuseUnserved(bus.files, name, `add ${name}`);
  }
  const unreported = await addLeniently(client, request);
  try {
    const differences = compareDevice(device, await client.device(name), await configOf(client, name, unreported));
    if (differences.length > 0) {
      const list = differences.map(({ key, from, to }) => `${key} is ${from}, not ${to}`).join('; ');
      const hint = `${device.spec.managementDevice} created it differently: ${list}`;
      throw new SystemError({ operation: `add ${name}`, errno: Errno.EOPNOTSUPP, hint });
    }
    if (device.driver !== undefined) await setDriver({ ...machine, force: false }, name, device.driver, device.node);
  } catch (error) {
    throw await deleteFailed(client, name, error);
  }
}

/** The kernel's data of a new device; without any, all attributes are assumed to be set as requested. */
async function configOf(
  client: VdpaClient,
  name: string,
  unreported: NetlinkError | undefined,
): Promise<DeviceConfig | undefined> {
  try {
    return await client.deviceConfig(name);
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === Errno.EOPNOTSUPP)) throw error;
    if (unreported) throw unreported;
    return undefined;
  }
}

/** Deletes a device that is not as desired. @returns an explanation */
async function deleteFailed(client: VdpaClient, name: string, failure: unknown): Promise<unknown> {
  try {
    await client.deleteDevice(name);
    return failure;
  } catch (cause) {
    const [{ errno } = { errno: Errno.EIO }] = [failure, cause].filter((error) => error instanceof SystemError);
    const hint = `${messageOf(failure)}. Deleting it also failed: ${messageOf(cause)}`;
    return new SystemError({ operation: `add ${name}`, errno, hint, cause: failure });
  }
}

function serversOf({ servers }: Machine, name: string): VduseServers {
  if (servers) return servers;
  throw new SystemError({
    operation: `serve ${name}`,
    errno: Errno.EOPNOTSUPP,
    hint: 'VDUSE servers are not available here',
  });
}

/**
 * Drivers reject attributes that they cannot set, even if the device would have these values anyway. These are omitted
 * in a second attempt; the caller checks the resulting device.
 * @returns why attributes were omitted
 */
async function addLeniently(client: VdpaClient, spec: DeviceSpec): Promise<NetlinkError | undefined> {
  try {
    await client.addDevice(spec);
    return undefined;
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === Errno.EOPNOTSUPP)) throw error;
    const reduced = withoutRefused(spec, error.kernelMessage);
    if (Object.keys(reduced).length === Object.keys(spec).length) throw error;
    await client.addDevice(reduced);
    return error;
  }
}

/** The kernel reports the attributes that it rejects as bits: `Some provided attributes are not supported: 0x400`. */
function withoutRefused(spec: DeviceSpec, kernelMessage = ''): DeviceSpec {
  const digits = /not supported: (0x[0-9a-f]+)$/.exec(kernelMessage)?.[1];
  // Older kernels do not report them.
  const refused = digits === undefined ? ~0n : BigInt(digits);
  const isRefused = (attribute: number): boolean => ((refused >> BigInt(attribute)) & 1n) === 1n;
  const { name, managementDevice, mac, mtu, maxVirtqueuePairs, features } = spec;
  return {
    name,
    managementDevice,
    ...(mac && !isRefused(VDPA_ATTR_DEV_NET_CFG_MACADDR) && { mac }),
    ...(mtu !== undefined && !isRefused(VDPA_ATTR_DEV_NET_CFG_MTU) && { mtu }),
    ...(maxVirtqueuePairs !== undefined && !isRefused(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) && { maxVirtqueuePairs }),
    ...(features !== undefined && !isRefused(VDPA_ATTR_DEV_FEATURES) && { features }),
  };
}

async function setDriver(
  { bus, force }: Machine,
  name: string,
  driver: string | null,
  node: NodeOwnership | undefined,
): Promise<void> {
  if (!bus)
    throw new SystemError({ operation: `bind ${name}`, errno: Errno.ENODEV, hint: 'The kernel has no vdpa bus' });
  if (driver === null) await unbindDriver(bus, name, { force });
  else await bindDriver(bus, name, driver, { force, ...(node && { access: node.access }) });
}
