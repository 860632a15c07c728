/** Making the changes of a plan, one after the other, and undoing what fails half-way. */
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

/** How changes are made. */
export interface ApplyOptions {
  /** Take devices away from those who use them, and let go what is in memory. */
  readonly force?: boolean;
  /** The servers of the machine's VDUSE devices; needed where the plan has such devices. */
  readonly servers?: VduseServers;
  /** No further change is begun once it is aborted; the one under way is finished, or undone. */
  readonly signal?: AbortSignal;
  /** Called after each change that was made. */
  readonly onDone?: (change: Change) => void;
}

/** A change that failed, and what came of it. */
export interface Failure {
  readonly change: Change;
  readonly error: unknown;
  /** The deletions that were made for it, and are undone. */
  readonly undone: readonly Deletion[];
  /** The device that it was to replace is there again. */
  readonly putBack: boolean;
  /** Devices that were there before, and could not be put back. */
  readonly lost: readonly { readonly name: string; readonly error: unknown }[];
}

/** What became of a plan. */
export interface ApplyResult {
  /** What was made, without what was undone. */
  readonly done: readonly Change[];
  /** Absent where all was done, or the rest was not begun. */
  readonly failed?: Failure;
  /** What was not begun. */
  readonly left: readonly Change[];
}

/**
 * Makes the changes one after the other and stops where one fails: planning and applying again goes on from there. What a
 * change that fails has taken away is put back as it was.
 * Never throws for a change that fails.
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
    // Signals are told when nothing else is to be done.
    await setImmediate();
    if (signal?.aborted === true) return { done, left: changes.slice(index) };
    try {
      if (change.action === 'delete') former.set(change, await takeSnapshot(machine, change.actual));
      await make(machine, change);
    } catch (error) {
      const failed = await undo(machine, change, error, former);
      const undone = new Set<Change>(failed.undone);
      return { done: done.filter((made) => !undone.has(made)), failed, left: changes.slice(index + 1) };
    }
    done.push(change);
    onDone?.(change);
  }
  return { done, left: [] };
}

/** A replacement could not be made, and this is what became of the device that was there. */
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

async function make(machine: Machine, change: Change): Promise<void> {
  switch (change.action) {
    case 'delete':
      return remove(machine, change.actual);
    case 'add':
      return add(machine, change.device, change.start);
    case 'replace': {
      if (change.losesMemory === true && !machine.force) throw memoryLoss(change.name);
      const former = await takeSnapshot(machine, change.actual);
      try {
        await remove(machine, change.actual);
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

/** Puts back what was deleted for a change that failed, the last first. */
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

/** Makes a device again as it was. @returns what is lost */
async function putBack(machine: Machine, former: DeviceSnapshot): Promise<Failure['lost']> {
  const { name } = former.device.spec;
  try {
    await add(machine, former.device, former.start);
    return [];
  } catch (error) {
    return [{ name, error }];
  }
}
