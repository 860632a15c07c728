/** Plans the changes from actual to desired devices. */
import type { SystemError } from '../../sys/error.js';
import type { ManagementDevice } from '../../vdpa/model.js';
import { VduseError } from '../../vduse/error.js';
import type { VduseInstance } from '../../vduse/daemon/servers.js';
import type { ActualDevice } from './actual.js';
import type { Change, Deletion } from './change.js';
import { additionOf, changesOf, isOfVduse } from './compare.js';
import { findConflicts, type CapacityOf } from './conflicts.js';
import type { Accounts } from './node.js';
import { orderChanges } from './order.js';
import { memoryLoss } from './reasons.js';
import { checkNew, resolve } from './resolve.js';
import { PlanError, StateFileError, type DesiredDevice, type DesiredState } from './desired.js';

/** The actual state that a plan is based on. */
export interface ActualState {
  readonly managementDevices: readonly ManagementDevice[];
  /** The drivers on the vdpa bus; undefined if they were not read: then none can be planned. */
  readonly drivers: readonly string[] | undefined;
  /** The users and groups of the machine; needed if a file specifies permissions of a node. */
  readonly accounts?: Accounts;
  /** The VDUSE instances; needed if a VDUSE device is desired. */
  readonly instances?: readonly VduseInstance[];
  /** If absent, the number of devices is not limited. */
  readonly capacityOf?: CapacityOf;
}

/** Options of a plan. */
export interface PlanOptions {
  /** Delete devices that the file does not name. */
  readonly prune: boolean;
  /** Discard data in memory, and permit two devices with the same address. */
  readonly force?: boolean;
}

/** Why a device cannot be made to match the file. */
export interface Refusal {
  readonly name: string;
  readonly reason: StateFileError | SystemError;
  /**
   * Something that it needs is missing and may still appear: a management device, a driver, another program's server.
   */
  readonly isTransient: boolean;
}

/**
 * The possible changes, in the order in which they can be made, and the reasons against others, in the order of the
 * file.
 */
export interface Plan {
  readonly changes: readonly Change[];
  readonly refusals: readonly Refusal[];
}

/**
 * Plans the changes: the file's devices in its order, followed by deletions, except those that free something for
 * another change. A machine that matches needs no changes.
 *
 * Command line: `vdpa apply FILE dry_run`.
 * @throws PlanError, before anything is changed, with all reasons, if a device cannot be made to match the file
 */
export function planChanges(
  desired: DesiredState,
  actual: readonly ActualDevice[],
  actualState: ActualState,
  options: PlanOptions,
): readonly Change[] {
  const { changes, refusals } = planPossible(desired, actual, actualState, options);
  if (refusals.length > 0) throw new PlanError(refusals.map(({ reason }) => reason));
  return changes;
}

/**
 * Plans the possible changes, and returns the reasons against others. {@link refuseInUse} checks for users of devices.
 *
 * Command line: `vdpa restore FILE wait SECONDS`.
 */
export function planPossible(
  desired: DesiredState,
  actual: readonly ActualDevice[],
  actualState: ActualState,
  { prune, force = false }: PlanOptions,
): Plan {
  const planned = desired.devices.map((device) => planDevice(device, desired, actual, actualState));
  const refusals = planned.flatMap((device) => device.refusals);
  const names = new Set(desired.devices.map(({ name }) => name));
  const pruned = prune ? actual.filter(({ device }) => !names.has(device.name)) : [];
  const asked: Change[] = [
    ...planned.flatMap(({ changes }) => changes),
    ...pruned.map((device): Deletion => ({ action: 'delete', name: device.device.name, actual: device })),
  ];
  const refuse = ({ name }: Change, reason: Refusal['reason']): void => {
    refusals.push({ name, reason, isTransient: false });
  };
  const harmless = asked.filter((change) => {
    const isLoss = !force && change.action === 'replace' && change.losesMemory === true;
    if (isLoss) refuse(change, memoryLoss(change.name));
    return !isLoss;
  });
  const { capacityOf, instances = [] } = actualState;
  const conflicts = findConflicts(harmless, actual, { capacityOf, instances, sharedMacs: force });
  const refuseInFile = (change: Change, key: string, reason: string): void => {
    const device = desired.devices.find(({ name }) => name === change.name);
    if (device) refuse(change, new StateFileError(`${desired.place(device, key)} ${reason}`));
  };
  for (const { change, key, reason } of conflicts) refuseInFile(change, key, reason);
  const inConflict = new Set<Change>(conflicts.map(({ change }) => change));
  const order = orderChanges(
    harmless.filter((change) => !inConflict.has(change)),
    { actual, instances, capacityOf },
  );
  for (const { change, other } of order.circular) {
    refuseInFile(
      change,
      'mgmtdev',
      `it needs what ${other} has, and ${other} needs what it has: delete one of them first`,
    );
  }
  const waiting = new Set(order.circular.map(({ change }) => change));
  const places = new Map(desired.devices.map(({ name }, index) => [name, index]));
  const placeOf = ({ name }: Refusal): number => places.get(name) ?? Infinity;
  return {
    changes: order.changes.filter((change) => !waiting.has(change)),
    refusals: refusals.sort((one, other) => placeOf(one) - placeOf(other)),
  };
}

/** The changes for one device of the file. */
function planDevice(
  device: DesiredDevice,
  desired: DesiredState,
  actual: readonly ActualDevice[],
  { managementDevices, drivers, accounts, instances }: ActualState,
): Plan {
  const refusals: Refusal[] = [];
  const refuse = (key: string, reason: string, isTransient = false): void => {
    const { name } = device;
    refusals.push({ name, reason: new StateFileError(`${desired.place(device, key)} ${reason}`), isTransient });
  };
  const handle = device.managementDevice;
  const management = managementDevices.find((candidate) => candidate.handle === handle);
  if (!management) {
    refuse('mgmtdev', `no such management device: ${handle}`, true);
    return { changes: [], refusals };
  }
  const { driver } = device;
  if (driver !== undefined) {
    if (drivers === undefined) refuse('driver', 'the drivers of the vdpa bus are not known here');
    else if (driver !== null && !drivers.includes(driver)) {
      refuse('driver', `driver ${driver} is not registered on the vdpa bus: try "modprobe ${driver}"`, true);
    }
  }
  if (device.node && drivers && !accounts) refuse('driver', 'users and groups are not available here');
  const resolved = resolve(device, management, accounts, refuse);
  if (refusals.length > 0) return { changes: [], refusals };
  const existing = actual.find((candidate) => candidate.device.name === device.name);
  const instance = instances?.find(({ name }) => name === device.name);
  try {
    const changes = existing ? changesOf(resolved, existing, instance) : [additionOf(resolved, instance)];
    if (changes.some(({ action }) => action === 'add' || action === 'replace')) {
      checkNew(resolved, management, refuse);
    }
    return { changes: refusals.length > 0 ? [] : changes, refusals };
  } catch (error) {
    if (!(error instanceof VduseError)) throw error;
    refuse('server', error.message, isOfVduse(resolved.spec) && !device.server && !instance);
    return { changes: [], refusals };
  }
}
