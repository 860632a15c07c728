/** Makes the changes of a plan one after another, and undoes a change that fails. */
import { setImmediate } from 'node:timers/promises';
import { NetlinkError } from '../../netlink/error.js';
import { Errno } from '../../sys/errno.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { VduseServers } from '../../vduse/daemon/servers.js';
import type { Change, Deletion } from './change.js';
import { add, adjust, remove, type Machine } from './make.js';
import { takeSnapshot, type DeviceSnapshot } from './snapshot.js';
import { memoryLoss } from './reasons.js';

/** Options for making changes. */
export interface ApplyOptions {
  /** Change devices in use, and discard data in memory. */
  readonly force?: boolean;
  /** The servers of the machine's VDUSE devices; needed where the plan has such devices. */
  readonly servers?: VduseServers;
  /**
   * Once aborted, no further change is started. The current one is finished or undone, unless it still waits for a
   * server that is being replaced: then it is not started either.
   */
  readonly signal?: AbortSignal;
  /** Called after each change that was made. */
  readonly onDone?: (change: Change) => void;
}

/** A change that failed, and its consequences. */
export interface Failure {
  readonly change: Change;
  readonly error: unknown;
  /** The deletions made for it that were undone. */
  readonly undone: readonly Deletion[];
  /** The device that it should have replaced was restored. */
  readonly putBack: boolean;
  /** Existing devices that could not be restored. */
  readonly lost: readonly { readonly name: string; readonly error: unknown }[];
}

/** The result of a plan. */
export interface ApplyResult {
  /** The changes that were made and not undone. */
  readonly done: readonly Change[];
  /** Absent if all changes were made, or the rest was not started. */
  readonly failed?: Failure;
  /** The changes that were not started. */
  readonly left: readonly Change[];
}

/**
 * Makes the changes one after another and stops at the first failure: planning and applying again continues from
 * there. The devices removed by the failed change are restored. Never throws for a change that fails.
 *
 * Command line: `vdpa apply FILE`.
 */
export async function applyChanges(
  client: VdpaClient,
  bus: VdpaBus | undefined,
  changes: readonly Change[],
  { force = false, servers, signal, onDone }: ApplyOptions = {},
): Promise<ApplyResult> {
  const machine: Machine = { client, bus, servers, force };
  const done: Change[] = [];
  const former = new Map<Deletion, DeviceSnapshot>();
  for (const [index, change] of changes.entries()) {
    await deliverSignals();
    if (signal?.aborted === true) return { done, left: changes.slice(index) };
    try {
      if (change.action === 'delete') former.set(change, await takeSnapshot(machine, change.actual));
      await make(machine, change, signal);
    } catch (error) {
      if (error !== undefined && error === signal?.reason) return { done, left: changes.slice(index) };
      const failed = await undo(machine, change, error, former);
      const undone = new Set<Change>(failed.undone);
      return { done: done.filter((made) => !undone.has(made)), failed, left: changes.slice(index + 1) };
    }
    done.push(change);
    onDone?.(change);
  }
  return { done, left: [] };
}

/**
 * Lets the signals be delivered that have arrived. Node's event loop reads them when it waits for input, which may come
 * only after the first turn.
 */
async function deliverSignals(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

/** A replacement failed, and this is the result for the old device. */
class ReplacementError extends Error {
  override readonly name = 'ReplacementError';
  readonly putBack: boolean;
  readonly lost: Failure['lost'];

  constructor(cause: unknown, lost: Failure['lost']) {
    super('', { cause });
    this.putBack = lost.length === 0;
    this.lost = lost;
  }
}

/** @param signal ends a wait before anything is done */
async function make(machine: Machine, change: Change, signal: AbortSignal | undefined): Promise<void> {
  switch (change.action) {
    case 'delete':
      return remove(machine, change.actual, signal);
    case 'add':
      return add(machine, change.device, change.start, signal);
    case 'replace': {
      if (change.losesMemory === true && !machine.force) throw memoryLoss(change.name);
      const former = await takeSnapshot(machine, change.actual);
      try {
        await remove(machine, change.actual, signal);
        await add(machine, change.device, change.start);
        return;
      } catch (error) {
        if (await isThere(machine, change.name)) throw error;
        throw new ReplacementError(error, await putBack(machine, former));
      }
    }
    default:
      return adjust(machine, change);
  }
}

/** Restores the devices deleted for a change that failed, in reverse order. */
async function undo(
  machine: Machine,
  change: Change,
  error: unknown,
  deleted: ReadonlyMap<Deletion, DeviceSnapshot>,
): Promise<Failure> {
  const replacement = error instanceof ReplacementError ? error : undefined;
  const lost = [...(replacement?.lost ?? [])];
  const undone: Deletion[] = [];
  for (const [deletion, former] of [...deleted].reverse()) {
    if (deletion.makesWayFor !== change.name || deletion === change) continue;
    const losses = await putBack(machine, former);
    if (losses.length === 0) undone.push(deletion);
    lost.push(...losses);
  }
  return {
    change,
    error: replacement ? replacement.cause : error,
    undone,
    putBack: replacement?.putBack === true,
    lost,
  };
}

async function isThere({ client }: Machine, name: string): Promise<boolean> {
  try {
    await client.device(name);
    return true;
  } catch (error) {
    if (error instanceof NetlinkError) return error.errno !== Errno.ENODEV;
    throw error;
  }
}

/** Restores a device. @returns the devices that are lost: it, or none */
async function putBack(machine: Machine, former: DeviceSnapshot): Promise<Failure['lost']> {
  const { name } = former.device.spec;
  try {
    await add(machine, former.device, former.start);
    return [];
  } catch (error) {
    return [{ name, error }];
  }
}
