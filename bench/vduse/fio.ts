import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** `batch` is how many requests fio submits in one system call, and reaps at most. `jobs` is how many processes do so. */
interface Workload {
  readonly rw: 'randread' | 'randwrite' | 'read' | 'write';
  readonly bs: '4k' | '1m';
  readonly depth: number;
  readonly batch: number;
  readonly jobs?: number;
}

export const workloads = {
  'random read, depth 1': { rw: 'randread', bs: '4k', depth: 1, batch: 1 },
  'random write, depth 1': { rw: 'randwrite', bs: '4k', depth: 1, batch: 1 },
  'random read, depth 32': { rw: 'randread', bs: '4k', depth: 32, batch: 1 },
  'random write, depth 32': { rw: 'randwrite', bs: '4k', depth: 32, batch: 1 },
  'random read, depth 32, submitted by 16': { rw: 'randread', bs: '4k', depth: 32, batch: 16 },
  'random write, depth 32, submitted by 16': { rw: 'randwrite', bs: '4k', depth: 32, batch: 16 },
  'sequential read, 1 MiB, depth 4': { rw: 'read', bs: '1m', depth: 4, batch: 1 },
  'sequential write, 1 MiB, depth 4': { rw: 'write', bs: '1m', depth: 4, batch: 1 },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;
export const workloadNames = Object.keys(workloads) as WorkloadName[];

interface Direction {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly total_ios: number;
}

interface FioReport {
  readonly jobs: readonly { readonly error: number; readonly read: Direction; readonly write: Direction }[];
}

/** Runs fio on a disk: libaio, direct. @param more additional options. @throws Error if it is not a block device, or fio fails */
export function fio(disk: string, workload: Workload, seconds: number, more: readonly string[] = []): Direction {
  // fio would create a plain file if there is no block device.
  if (!statSync(disk).isBlockDevice()) throw new Error(`${disk} is not a block device`);
  return run(disk, workload, seconds, 'libaio', more);
}

/** The same on an existing file, through io_uring, on one processor. @throws Error if fio is missing or fails */
export function fioOnFile(path: string, workload: WorkloadName, seconds: number, processor: number): Direction {
  return run(path, workloads[workload], seconds, 'io_uring', [`--cpus_allowed=${processor}`]);
}

function run(
  disk: string,
  { rw, bs, depth, batch, jobs = 1 }: Workload,
  seconds: number,
  ioengine: 'libaio' | 'io_uring',
  more: readonly string[],
): Direction {
  const { status, stdout, stderr } = spawnSync(
    'fio',
    [
      ...[
        '--name=bench',
        `--filename=${disk}`,
        `--rw=${rw}`,
        `--bs=${bs}`,
        `--iodepth=${depth}`,
        '--allow_file_create=0',
        `--numjobs=${jobs}`,
        '--group_reporting',
      ],
      ...[
        `--ioengine=${ioengine}`,
        '--direct=1',
        `--runtime=${Math.round(seconds * 1000)}ms`,
        '--time_based',
        '--output-format=json',
        ...(batch > 1 ? [`--iodepth_batch_submit=${batch}`, `--iodepth_batch_complete_max=${depth}`] : []),
        ...more,
      ],
    ],
    { encoding: 'utf8', maxBuffer: 2 ** 24 },
  );
  if (status !== 0) throw new Error(`fio on ${disk}: ${stdout}${stderr}`);
  const [job] = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport).jobs;
  if (job?.error !== 0) throw new Error(`fio on ${disk}: error ${job?.error ?? 0}`);
  const direction = job.read.total_ios > 0 ? job.read : job.write;
  if (direction.total_ios === 0) throw new Error(`fio on ${disk} did nothing`);
  return direction;
}
