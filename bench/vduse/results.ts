/** What is measured inside the lab, as it comes out of it. */
import type { DiskName, queueDisks } from './disk-names.js';
import type { WorkloadName } from './fio.js';

/** What one turn of fio gave, and what the server did meanwhile. */
export interface Turn {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly requests: number;
  /** Seconds of processor time of the server; 0 where it is the kernel. */
  readonly cpuSeconds: number;
}

export interface DiskResults {
  readonly turns: Readonly<Record<DiskName, Readonly<Record<WorkloadName, readonly Turn[]>>>>;
  /** Resident memory of each server after all, in KiB; without pages of files, which others have too. */
  readonly resident: Readonly<Record<DiskName, Resident>>;
}

/** From /proc/PID/status, in KiB. */
export interface Resident {
  /** All of it. */
  readonly total: number;
  /** Its own memory alone: neither pages of files nor memory that it shares. */
  readonly own: number;
}

/** Random reads and writes on four queues at once. */
export type QueueResults = Readonly<
  Record<(typeof queueDisks)[number], { readonly read: readonly Turn[]; readonly write: readonly Turn[] }>
>;

/** Packets a second for each length of frame, bytes a second over TCP. */
export interface NetResults {
  readonly loopback: Readonly<Record<'vdpa' | 'vdpasim', readonly (readonly number[])[]>>;
  readonly tap: readonly (readonly number[])[];
  readonly tcp: Readonly<Record<'toTap' | 'fromTap' | 'veth', readonly number[]>>;
}

/** How long packets took, in milliseconds, and how many did not come. */
export interface Delays {
  readonly delays: readonly number[];
  readonly lost: number;
}

/** Of packets to the guest: while nothing else happens, and while the guest sends as fast as it can, for each length of frame. */
export interface DelayResults {
  readonly idle: readonly Delays[];
  readonly flood: readonly (readonly Delays[])[];
}

export interface GrowthResults {
  readonly requests: number;
  readonly before: Resident;
  readonly after: Resident;
}

/** How long the disks take for a request, in nanoseconds. */
export const waits = [1_000_000, 100_000] as const;
export type Wait = (typeof waits)[number];

export const waitingDisks = ['the disk itself', 'vdpa file', 'qemu io_uring'] as const;
export type WaitingDisk = (typeof waitingDisks)[number];

export const waitingWorkloads = ['random read, depth 1', 'random read, depth 32'] as const satisfies WorkloadName[];

/** Requests a second, for each round and each of these workloads. */
export type WaitingResults = Readonly<Record<WaitingDisk, readonly (readonly number[])[]>>;

export interface Results {
  readonly net?: NetResults;
  readonly delay?: DelayResults;
  readonly growth?: GrowthResults;
  readonly disks?: DiskResults;
  readonly queues?: QueueResults;
  readonly waiting?: WaitingResults;
}
