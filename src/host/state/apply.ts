/** Making the changes of a plan. */
import { NetlinkError } from '../../netlink/error.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { bindDriver, unbindDriver } from '../../sysfs/binding.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import { describeUser, findUsers } from '../../sysfs/users.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { DeviceSpec } from '../../vdpa/encode.js';
import { formatHandle } from '../../vdpa/model.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../vdpa/uapi.js';
import type { ActualDevice } from './actual.js';
import { compareDevice, type Change, type NewDevice } from './plan.js';

/** How changes are made. */
export interface ApplyOptions {
  /** Take devices away from those who use them. */
  readonly force?: boolean;
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
      await make(client, bus, change, options);
    } catch (error) {
      return { done: changes.slice(0, index), failed: { change, error }, left: changes.slice(index + 1) };
    }
  }
  return { done: changes, left: [] };
}

async function make(
  client: VdpaClient,
  bus: VdpaBus | undefined,
  change: Change,
  options: ApplyOptions,
): Promise<void> {
  switch (change.action) {
    case 'delete':
      refuseUsed(bus, change.actual, options);
      return client.deleteDevice(change.name);
    case 'add':
      return add(client, bus, change.device);
    case 'replace':
      refuseUsed(bus, change.actual, options);
      await client.deleteDevice(change.name);
      return add(client, bus, change.device);
    case 'set':
      return client.setDevice(change.name, { mac: change.mac });
    case 'bind':
      return drive(bus, change.name, change.driver, options);
  }
}

/** Makes a device, sees that it is as it was wanted, and binds it. Where anything fails it is deleted again. */
async function add(client: VdpaClient, bus: VdpaBus | undefined, device: NewDevice): Promise<void> {
  await addLeniently(client, device.spec);
  const { name } = device.spec;
  try {
    const differences = compareDevice(device, await client.device(name), await client.deviceConfig(name));
    if (differences.length > 0) {
      const words = differences.map(({ key, from, to }) => `${key} is ${from}, not ${to}`).join('; ');
      const hint = `${formatHandle(device.spec.managementDevice)} makes it otherwise: ${words}`;
      throw new SystemError({ operation: `add ${name}`, errno: Errno.EOPNOTSUPP, hint });
    }
    if (device.driver !== undefined) await drive(bus, name, device.driver, {});
  } catch (error) {
    await client.deleteDevice(name).catch(() => undefined);
    throw error;
  }
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

async function drive(
  bus: VdpaBus | undefined,
  name: string,
  driver: string | null,
  { force = false }: ApplyOptions,
): Promise<void> {
  if (!bus) throw new SystemError({ operation: `bind ${name}`, errno: Errno.ENODEV, hint: 'There is no vdpa bus' });
  if (driver === null) unbindDriver(bus, name, { force });
  else await bindDriver(bus, name, driver, { force });
}

/** A deleted device takes its disk or node with it, so whoever uses that comes first. */
function refuseUsed(bus: VdpaBus | undefined, { onBus }: ActualDevice, { force = false }: ApplyOptions): void {
  if (force || !bus || !onBus) return;
  const users = findUsers(bus.files, onBus);
  if (users.length === 0) return;
  const hint = `It is in use: ${users.map(describeUser).join('; ')}. End that first, or say force`;
  throw new SystemError({ operation: `delete ${onBus.name}`, errno: Errno.EBUSY, hint });
}
