/** What is measured inside the lab, as it comes out of it. */
import type { DiskName } from './disks.js';
import type { WorkloadName } from './fio.js';
import type { queueDisks } from './queues.js';

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

export interface Results {
  readonly disks?: DiskResults;
  readonly queues?: QueueResults;
}
