/** The tables of disks. */
import { median } from '../measure.js';
import { mebibytes, perSecond, type Row } from '../report.js';
import { diskNames, type DiskName } from './disk-names.js';
import { workloadNames, workloads, type WorkloadName } from './fio.js';
import { fullQueues, nbdDelays, nbdLoads, waitingWorkloads } from './results.js';
import type {
  AgreementResults,
  DiskResults,
  FlushResults,
  NbdDelay,
  NbdLoad,
  NbdResults,
  QueueResults,
  Turn,
  Wait,
  WaitingDisk,
  WaitingResults,
} from './results.js';

/** The goals, as multiples of the other's rate. */
const goals: readonly { readonly ours: DiskName; readonly theirs: DiskName; readonly atLeast: Goal }[] = [
  { ours: 'vdpa file', theirs: 'qemu io_uring', atLeast: { depth1: 1.3, depth32: 3, sequential: 1.5 } },
  { ours: 'vdpa ram', theirs: 'qemu null-co', atLeast: { depth1: 1, depth32: 1.5, sequential: 1 } },
  { ours: 'vdpa null', theirs: 'qemu null-co', atLeast: { depth1: 1, depth32: 1.5, sequential: 1 } },
];

interface Goal {
  readonly depth1: number;
  readonly depth32: number;
  readonly sequential: number;
}

const maxResidentMiB = 90;
const maxResidentInFlightMiB = 110;

function goalOf(goal: Goal, workload: WorkloadName): number {
  const { depth } = workloads[workload];
  if (depth === 1) return goal.depth1;
  return depth === 32 ? goal.depth32 : goal.sequential;
}

function isLarge(workload: WorkloadName): boolean {
  return workloads[workload].bs === '1m';
}

function rate(turns: readonly Turn[], workload: WorkloadName): number {
  return median(turns.map((turn) => (isLarge(workload) ? turn.bytesPerSecond : turn.requestsPerSecond)));
}

function rateText(rate: number, workload: WorkloadName): string {
  return isLarge(workload) ? `${(rate / 1e9).toFixed(2)} GB/s` : perSecond(rate);
}

/** Seconds of processor time for a million 4 KiB reads. */
function cpuPerMillion(turns: readonly Turn[]): number {
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  return (sum(turns.map((turn) => turn.cpuSeconds)) / sum(turns.map((turn) => turn.requests))) * 1e6;
}

/** Prints the results of each disk. */
export function diskTable({ turns, resident }: DiskResults): void {
  console.log('\n## Disks\n');
  console.log(`| | ${diskNames.join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(diskNames.length)}`);
  const line = (what: string, cell: (disk: DiskName) => string): void => {
    console.log(`| ${what} | ${diskNames.map(cell).join(' | ')} |`);
  };
  for (const workload of workloadNames) {
    line(workload, (disk) => rateText(rate(turns[disk][workload], workload), workload));
  }
  const served = (disk: DiskName, text: string): string => (disk === 'vdpasim' ? '' : text);
  for (const workload of ['random read, depth 1', 'random read, depth 32'] as const) {
    line(`processor time of a million: ${workload}`, (disk) =>
      served(disk, `${cpuPerMillion(turns[disk][workload]).toFixed(1)} s`),
    );
  }
  line('resident memory', (disk) => served(disk, mebibytes(resident[disk].total)));
  line('of it its own', (disk) => served(disk, mebibytes(resident[disk].own)));
}

/** What different programs find on the same disk. */
export function agreementTable(title: string, results: AgreementResults): void {
  console.log(`\n## ${title}\n`);
  console.log('| | dev bench | driver busy | libblkio | | fio, virtio_blk | |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { disk, workload, bench, busy, libblkio, fio } of results) {
    const ours = median(bench);
    const other = (rates: readonly number[]): string =>
      `${perSecond(median(rates))} | ${(ours / median(rates)).toFixed(2)}`;
    const share = `${Math.round(median(busy) * 100)} %, ${((median(busy) / ours) * 1e6).toFixed(1)} µs each`;
    console.log(`| ${disk}: ${workload} | ${perSecond(ours)} | ${share} | ${other(libblkio)} | ${other(fio)} |`);
  }
}

/** The comparisons, with their goals. */
export function diskRows({ turns, resident }: DiskResults): Row[] {
  const rows: Row[] = [];
  for (const { ours, theirs, atLeast } of goals) {
    for (const workload of workloadNames) {
      const mine = rate(turns[ours][workload], workload);
      const other = rate(turns[theirs][workload], workload);
      rows.push({
        what: `${ours}: ${workload}`,
        ours: rateText(mine, workload),
        against: `${theirs} ${rateText(other, workload)}`,
        figure: mine / other,
        goal: { atLeast: goalOf(atLeast, workload) },
      });
    }
  }
  for (const { ours, theirs } of goals) {
    for (const workload of ['random read, depth 1', 'random read, depth 32'] as const) {
      const mine = cpuPerMillion(turns[ours][workload]);
      const other = cpuPerMillion(turns[theirs][workload]);
      rows.push({
        what: `${ours}: processor time of a million, ${workload}`,
        ours: `${mine.toFixed(1)} s`,
        against: `${theirs} ${other.toFixed(1)} s`,
        figure: mine / other,
        goal: { atMost: 1 },
      });
    }
  }
  for (const disk of ['vdpa file', 'vdpa null'] as const) {
    rows.push({
      what: `${disk}: resident memory`,
      ours: mebibytes(resident[disk].total),
      against: `qemu io_uring ${mebibytes(resident['qemu io_uring'].total)}`,
      figure: resident[disk].total / 1024,
      goal: { atMost: maxResidentMiB },
      unit: 'MiB',
    });
  }
  return rows;
}

/** Four queues compared with four queues. */
export function queueRows(results: QueueResults): Row[] {
  const rows: Row[] = [];
  for (const [ours, theirs, atLeast] of [
    ['vdpa file', 'qemu io_uring', 2],
    ['vdpa null', 'qemu null-co', 1.5],
  ] as const) {
    for (const direction of ['read', 'write'] as const) {
      const mine = median(results[ours][direction].map((turn) => turn.requestsPerSecond));
      const other = median(results[theirs][direction].map((turn) => turn.requestsPerSecond));
      rows.push({
        what: `${ours}: 4 queues by vhost-vdpa, random ${direction}, depth 32 each`,
        ours: perSecond(mine),
        against: `${theirs} ${perSecond(other)}`,
        figure: mine / other,
        goal: { atLeast },
      });
    }
  }
  return rows;
}

/** The same disk served by two servers. @param wait how long it takes for a request, in nanoseconds */
export function waitingRows({ rates, resident }: WaitingResults, wait: Wait): Row[] {
  const rate = (disk: WaitingDisk, index: number): number => median(rates[disk].map((round) => round[index] ?? 0));
  const speed = Object.entries(waitingWorkloads).map(([workload, { atLeast }], index) => ({
    what: `a disk of ${wait / 1000} µs a request, which alone does ${perSecond(rate('the disk itself', index))}: ${workload}`,
    ours: perSecond(rate('vdpa file', index)),
    against: `qemu io_uring ${perSecond(rate('qemu io_uring', index))}`,
    figure: rate('vdpa file', index) / rate('qemu io_uring', index),
    goal: { atLeast },
  }));
  const total = median(resident.map((each) => each.total));
  const { jobs, depth } = fullQueues;
  return [
    ...speed,
    {
      what: `a disk of ${wait / 1000} µs a request: resident memory after ${jobs} × ${depth} requests in flight`,
      ours: mebibytes(total),
      against: '',
      figure: total / 1024,
      goal: { atMost: maxResidentInFlightMiB },
      unit: 'MiB',
    },
  ];
}

/** Reads while flushes take long. */
export function flushRows({ alone, beside }: FlushResults): Row[] {
  const [without, during] = [median(alone), median(beside)];
  return [
    {
      what: 'vdpa file: random read, depth 32, while flushes of 50 ms are under way',
      ours: perSecond(during),
      against: `without them ${perSecond(without)}`,
      figure: during / without,
      goal: { atLeast: 0.8 },
    },
  ];
}

/** What is measured on an NBD server. */
export const nbdWhat = (delay: NbdDelay, load: NbdLoad): string =>
  `nbdkit in memory, ${delay === 0 ? 'without a delay' : `delay ${delay} ms`}: random read, ${load}`;

/** The delays and loads, the slow server first. */
export const nbdCases = ([1, 0] as const satisfies readonly NbdDelay[]).flatMap((delay) =>
  (Object.keys(nbdLoads) as NbdLoad[]).map((load) => ({ delay, load })),
);

/** A disk of vdpa on an NBD server, and the kernel's own. */
export function nbdRows(results: NbdResults): Row[] {
  return nbdCases.map(({ delay, load }) => {
    const rates = results[delay][load];
    const [ours, theirs] = [median(rates['vdpa nbd']), median(rates["the kernel's nbd"])];
    return {
      what: nbdWhat(delay, load),
      ours: perSecond(ours),
      against: `the kernel's nbd ${perSecond(theirs)}`,
      figure: ours / theirs,
      goal: { atLeast: nbdDelays[delay] },
    };
  });
}
