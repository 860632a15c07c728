/** Making the changes of a plan. */
import { NetlinkError } from '../../netlink/error.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { bindDriver, unbindDriver } from '../../sysfs/binding.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import { refuseUnserved } from '../../sysfs/instance-server.js';
import { refuseUsed } from '../../sysfs/removal.js';
import type { VdpaClient } from '../../vdpa/client.js';
import { withoutServersWords, type DeviceSpec } from '../../vdpa/encode.js';
import { formatHandle } from '../../vdpa/model.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../vdpa/uapi.js';
import type { VduseServers } from '../../vduse/service/servers.js';
import { deleteDevice } from '../delete-device.js';
import type { ActualDevice } from './actual.js';
import { compareDevice, type Change, type NewDevice } from './plan.js';
import { VDUSE, type ServerStart } from './served.js';

/** How changes are made. */
export interface ApplyOptions {
  /** Take devices away from those who use them. */
  readonly force?: boolean;
  /** The servers of the machine's VDUSE devices; needed where the plan has such devices. */
  readonly servers?: VduseServers;
}

/** What became of a plan. */
export interface ApplyResult {
  readonly done: readonly Change[];
  /**
   * The change that failed, and why. A device that could not be made as it was wanted is not there; of a replacement the
   * old one is gone too. Absent where all was done.
   */
  readonly failed?: { readonly change: Change; readonly error: unknown };
  /** What was not begun. */
  readonly left: readonly Change[];
}

/**
 * Makes the changes one after the other and stops where one fails: planning and applying again goes on from there.
 * Never throws for a change that fails.
 */
export async function applyChanges(
  client: VdpaClient,
  bus: VdpaBus | undefined,
  changes: readonly Change[],
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  for (const [index, change] of changes.entries()) {
    try {
      await make({ client, bus, ...options }, change);
    } catch (error) {
      return { done: changes.slice(0, index), failed: { change, error }, left: changes.slice(index + 1) };
    }
  }
  return { done: changes, left: [] };
}

/** What changes are made with. */
interface Machine extends ApplyOptions {
  readonly client: VdpaClient;
  readonly bus: VdpaBus | undefined;
}

async function make(machine: Machine, change: Change): Promise<void> {
  const { client } = machine;
  switch (change.action) {
    case 'delete':
      return remove(machine, change.actual);
    case 'add':
      return add(machine, change.device, change.start);
    case 'replace':
      if (change.losesMemory === true) refuseLoss(machine, change.name);
      await remove(machine, change.actual);
      return add(machine, change.device, change.start);
    case 'serve':
      return serversOf(machine, change.name).takeOver(change.server);
    case 'set':
      return client.setDevice(change.name, { mac: change.mac });
    case 'bind':
      return drive(machine, change.name, change.driver);
  }
}

/** Deletes a device, and ends its server where that is ours. */
async function remove(machine: Machine, actual: ActualDevice): Promise<void> {
  const { bus, force = false } = machine;
  const { name, managementDevice } = actual.device;
  // A deleted device takes its disk or node with it, so whoever uses that comes first.
  if (bus && actual.onBus) await refuseUsed(bus, actual.onBus, `delete ${name}`, { force });
  await machine.client.deleteDevice(name);
  if (formatHandle(managementDevice) === VDUSE) await machine.servers?.end(name);
}

/** Makes a device, with its server where it is one of VDUSE. Where anything fails nothing is left of either. */
async function add(machine: Machine, device: NewDevice, start: ServerStart | undefined): Promise<void> {
  const { name } = device.spec;
  if (start?.how !== 'start') return addToBus(machine, device);
  const servers = serversOf(machine, name);
  if (start.stale) await servers.remove(name, () => deleteDevice(machine.client, machine.bus, name, machine));
  return servers.add(start.device, () => addToBus(machine, device, withoutServersWords(device.spec)));
}

/**
 * Makes a device, sees that it is as it was wanted, and binds it. Where anything fails it is deleted again.
 * @param request what the kernel is asked for
 */
async function addToBus(machine: Machine, device: NewDevice, request: DeviceSpec = device.spec): Promise<void> {
  const { client, bus } = machine;
  const { name } = device.spec;
  if (bus && formatHandle(device.spec.managementDevice) === VDUSE) refuseUnserved(bus.files, name, `add ${name}`);
  await addLeniently(client, request);
  try {
    const differences = compareDevice(device, await client.device(name), await client.deviceConfig(name));
    if (differences.length > 0) {
      const words = differences.map(({ key, from, to }) => `${key} is ${from}, not ${to}`).join('; ');
      const hint = `${formatHandle(device.spec.managementDevice)} makes it otherwise: ${words}`;
      throw new SystemError({ operation: `add ${name}`, errno: Errno.EOPNOTSUPP, hint });
    }
    if (device.driver !== undefined) await drive({ ...machine, force: false }, name, device.driver);
  } catch (error) {
    await client.deleteDevice(name).catch(() => undefined);
    throw error;
  }
}

function serversOf({ servers }: Machine, name: string): VduseServers {
  if (servers) return servers;
  throw new SystemError({ operation: `serve ${name}`, errno: Errno.EOPNOTSUPP, hint: 'Say which servers there are' });
}

/**
 * Drivers refuse attributes that they cannot set, also where the device would come with just these. So those are left out
 * in a second try; whoever calls looks at what came.
 */
async function addLeniently(client: VdpaClient, spec: DeviceSpec): Promise<void> {
  try {
    await client.addDevice(spec);
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === Errno.EOPNOTSUPP)) throw error;
    const reduced = withoutRefused(spec, error.kernelMessage);
    if (Object.keys(reduced).length === Object.keys(spec).length) throw error;
    await client.addDevice(reduced);
  }
}

/** The kernel names the attributes that it refuses by their bits: `Some provided attributes are not supported: 0x400`. */
function withoutRefused(spec: DeviceSpec, kernelMessage = ''): DeviceSpec {
  const digits = /not supported: (0x[0-9a-f]+)$/.exec(kernelMessage)?.[1];
  // Older kernels do not name them.
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

async function drive({ bus, force = false }: Machine, name: string, driver: string | null): Promise<void> {
  if (!bus) throw new SystemError({ operation: `bind ${name}`, errno: Errno.ENODEV, hint: 'There is no vdpa bus' });
  if (driver === null) await unbindDriver(bus, name, { force });
  else await bindDriver(bus, name, driver, { force });
}

/** What is in a file outlives its server, what is in memory does not. */
function refuseLoss({ force = false }: Machine, name: string): void {
  if (force) return;
  const hint = 'It is in memory, and another device would begin with an empty one. Save what is on it, and say force';
  throw new SystemError({ operation: `replace ${name}`, errno: Errno.EBUSY, hint });
}
