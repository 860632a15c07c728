/** The results of measurements inside the lab. */
import type { DiskName, queueDisks } from './disk-names.js';
import { workloads, type WorkloadName } from './fio.js';

/** The result of one run of fio, and the server's resource usage during it. */
export interface Turn {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly requests: number;
  /** Seconds of processor time of the server; 0 if it is the kernel. */
  readonly cpuSeconds: number;
}

export interface DiskResults {
  readonly turns: Readonly<Record<DiskName, Readonly<Record<WorkloadName, readonly Turn[]>>>>;
  /** Resident memory of each server at the end, in KiB, without pages of files, which it shares. */
  readonly resident: Readonly<Record<DiskName, Resident>>;
}

/** From /proc/PID/status, in KiB. */
export interface Resident {
  /** All of it. */
  readonly total: number;
  /** Only its own memory: neither pages of files nor shared memory. */
  readonly own: number;
}

/** Random reads and writes on four queues at the same time. */
export type QueueResults = Readonly<
  Record<(typeof queueDisks)[number], { readonly read: readonly Turn[]; readonly write: readonly Turn[] }>
>;

/** Packets per second for each frame length, bytes per second over TCP. */
export interface NetResults {
  readonly loopback: Readonly<Record<'vdpa' | 'vdpasim', readonly (readonly number[])[]>>;
  readonly tap: readonly (readonly number[])[];
  readonly tcp: Readonly<Record<'toTap' | 'fromTap' | 'veth', readonly number[]>>;
}

/** The delays of packets, in milliseconds, and how many were lost. */
export interface Delays {
  readonly delays: readonly number[];
  readonly lost: number;
}

/** Delays of packets to the guest: while it is idle, and while it sends as fast as it can, for each frame length. */
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

export const waitingWorkloads = {
  'random read, depth 1': { ...workloads['random read, depth 1'], atLeast: 1 },
  'random read, depth 32': { ...workloads['random read, depth 32'], atLeast: 1.2 },
  'random read on 4 queues, depth 32 each': { ...workloads['random read, depth 32'], jobs: 4, atLeast: 1.5 },
} as const;

export interface WaitingResults {
  /** Requests per second, for each round and each of these workloads. */
  readonly rates: Readonly<Record<WaitingDisk, readonly (readonly number[])[]>>;
  /** Of vdpa's servers, each after {@link fullQueues}. */
  readonly resident: readonly Resident[];
}

/** As many requests in flight as four queues have descriptors. */
export const fullQueues = { ...workloads['random read, depth 32'], depth: 256, jobs: 4 } as const;

/** Requests in flight on an NBD server: those of each queue. */
export const nbdLoads = {
  'depth 32': { queues: 1, depth: 32 },
  '4 queues, depth 32 each': { queues: 4, depth: 32 },
} as const;
export type NbdLoad = keyof typeof nbdLoads;

/** How long the NBD server takes for a request, in milliseconds, and the least share of the kernel's rate. */
export const nbdDelays = { 1: 1, 0: 0.8 } as const;
export type NbdDelay = keyof typeof nbdDelays;

export const nbdDisks = ['vdpa nbd', "the kernel's nbd"] as const;

/** Requests per second of each round, by the delay in milliseconds. */
export type NbdResults = Readonly<
  Record<NbdDelay, Readonly<Record<NbdLoad, Readonly<Record<(typeof nbdDisks)[number], readonly number[]>>>>>
>;

/** Requests per second of each round. */
export interface FlushResults {
  readonly alone: readonly number[];
  readonly beside: readonly number[];
}

export const agreeingDisks = ['vdpa null', 'vdpa ram', 'vdpasim'] as const satisfies DiskName[];
export const agreeingWorkloads = ['random read, depth 1', 'random read, depth 32'] as const satisfies WorkloadName[];

/** Of each round: requests a second of each program, and how busy the driver of `vdpa dev bench` is. */
export type Shares = Readonly<Record<'bench' | 'fio' | 'libblkio' | 'busy', number[]>>;
export type Agreeing = Shares & {
  readonly disk: (typeof agreeingDisks)[number];
  readonly workload: (typeof agreeingWorkloads)[number];
};
export type AgreementResults = readonly Agreeing[];

export interface Results {
  readonly net?: NetResults;
  readonly delay?: DelayResults;
  readonly growth?: GrowthResults;
  readonly disks?: DiskResults;
  readonly queues?: QueueResults;
  readonly waiting?: WaitingResults;
  readonly flush?: FlushResults;
  readonly nbd?: NbdResults;
  readonly agreement?: AgreementResults;
}
