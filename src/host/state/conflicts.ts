/** Finds conflicts between devices: slots of a card, MAC addresses, files or taps of servers. */
import { toEntry } from '../../vduse/spec/arguments.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import { ownStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { ownMac, type ActualDevice } from './actual.js';
import type { Addition, Adjustment, Change, Replacement } from './change.js';

/** A change that conflicts with others. */
export interface Conflict {
  readonly change: Exclude<Change, { readonly action: 'delete' }>;
  /** The key of the device that conflicts. */
  readonly key: 'mgmtdev' | 'mac' | 'server/path' | 'server/ifname';
  readonly reason: string;
}

/** Maximum number of devices of a management device; undefined if it is unknown. */
export type CapacityOf = (managementDevice: string) => number | undefined;

/** Options of the search. */
export interface ConflictOptions {
  readonly capacityOf: CapacityOf | undefined;
  /** The VDUSE instances. */
  readonly instances: readonly VduseInstance[];
  /** Permits two devices with the same address. */
  readonly sharedMacs: boolean;
}

/** Finds the changes, in their order, that would result in an impossible or undesirable state. */
export function findConflicts(
  changes: readonly Change[],
  actual: readonly ActualDevice[],
  { capacityOf, instances, sharedMacs }: ConflictOptions,
): Conflict[] {
  return [
    ...findSharedFiles(changes, instances),
    ...(capacityOf ? findFull(changes, actual, capacityOf) : []),
    ...(sharedMacs ? [] : findSharedMacs(changes, actual)),
  ];
}

/** Devices without a free slot even after all deletions. */
function findFull(changes: readonly Change[], actual: readonly ActualDevice[], capacityOf: CapacityOf): Conflict[] {
  const going = new Set(changes.filter(leavesPlace).map(({ name }) => name));
  const tenants = new Map<string, string[]>();
  const tenantsOf = (handle: string): string[] => {
    const known = tenants.get(handle) ?? [];
    tenants.set(handle, known);
    return known;
  };
  for (const { device } of actual) {
    if (!going.has(device.name)) tenantsOf(device.managementDevice).push(device.name);
  }
  return changes.flatMap((change): Conflict[] => {
    if (!takesPlace(change)) return [];
    const { managementDevice } = change.device.spec;
    const capacity = capacityOf(managementDevice);
    const inUse = tenantsOf(managementDevice);
    if (capacity !== undefined && inUse.length >= capacity) {
      const devices = capacity === 1 ? 'one device' : `${capacity} devices`;
      const reason = `${managementDevice} supports only ${devices}; in use by ${inUse.join(', ')}`;
      return [{ change, key: 'mgmtdev', reason }];
    }
    inUse.push(change.name);
    return [];
  });
}

/** A device of the same name on the same management device keeps its slot. */
function leavesPlace(change: Change): boolean {
  return change.action === 'delete' || change.action === 'replace';
}

function takesPlace(change: Change): change is Addition | Replacement {
  return change.action === 'add' || change.action === 'replace';
}

/** Devices that would get the address of another one. */
function findSharedMacs(changes: readonly Change[], actual: readonly ActualDevice[]): Conflict[] {
  const changed = new Set(changes.filter(changesMac).map(({ name }) => name));
  const owners = new Map<string, string>();
  for (const { device, config } of actual) {
    const mac = ownMac(config);
    if (mac && !changed.has(device.name)) owners.set(mac, device.name);
  }
  return changes.flatMap((change): Conflict[] => {
    if (change.action === 'delete') return [];
    const address = macOf(change);
    if (address === undefined) return [];
    const owner = owners.get(address);
    if (owner !== undefined) return [{ change, key: 'mac', reason: `${address} is already the address of ${owner}` }];
    owners.set(address, change.name);
    return [];
  });
}

function changesMac(change: Change): boolean {
  return change.action === 'delete' || change.action === 'replace' || change.action === 'set';
}

/** The address that a change assigns to a device. */
export function macOf(change: Addition | Replacement | Adjustment): string | undefined {
  if (change.action === 'set') return change.mac;
  return change.action === 'add' || change.action === 'replace' ? change.device.spec.mac : undefined;
}

/** The resources that a server uses exclusively; a file that is only read can be shared. */
interface Held {
  readonly key: 'server/path' | 'server/ifname';
  readonly file: string;
  readonly shared: boolean;
}

/** The key of the server that names it. */
interface HeldKeys {
  readonly path?: string;
  readonly ifname?: string;
  readonly readonly?: boolean;
}

/** Servers that would use the file or the tap of another one, which is locked or busy when they start. */
function findSharedFiles(changes: readonly Change[], instances: readonly VduseInstance[]): Conflict[] {
  const going = new Set(changes.filter(leavesPlace).map(({ name }) => name));
  const holders = new Map<string, Held & { readonly name: string }>();
  for (const instance of instances) {
    const status = ownStatus(instance);
    if (!status || going.has(instance.name)) continue;
    for (const held of heldBy(status.device)) holders.set(held.file, { ...held, name: instance.name });
  }
  return changes.flatMap((change): Conflict[] => {
    const server = serverOf(change);
    if (change.action === 'delete' || !server) return [];
    const held = heldBy(toEntry(server));
    const conflicts = held.flatMap((held): Conflict[] => {
      const holder = holders.get(held.file);
      if (!holder || holder.name === change.name || holder.key !== held.key || (holder.shared && held.shared))
        return [];
      return [{ change, key: held.key, reason: `${held.file} is in use by the server of ${holder.name}` }];
    });
    if (conflicts.length === 0) {
      for (const one of held) holders.set(one.file, { ...one, name: change.name });
    }
    return conflicts;
  });
}

function heldBy({ path, ifname, readonly = false }: HeldKeys): Held[] {
  return [
    ...(path === undefined ? [] : [{ key: 'server/path', file: path, shared: readonly } as const]),
    ...(ifname === undefined ? [] : [{ key: 'server/ifname', file: ifname, shared: false } as const]),
  ];
}

/** The server that a change starts. */
function serverOf(change: Change): ServedDeviceSpec | undefined {
  if (change.action === 'serve') return change.server;
  return takesPlace(change) && change.start?.how === 'start' ? change.start.device : undefined;
}
