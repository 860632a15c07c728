/** The disk of this machine: the engine alone on a file, against other programs on the same file, past the page cache. */
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { allowedProcessors, runOn } from '../../src/sys/affinity.js';
import { checkoutRoot } from '../../lab/cache.js';
import { median } from '../measure.js';
import { perSecond, type Row } from '../report.js';
import { measureEngine } from './engine.js';
import { fioOnFile, workloads, type WorkloadName } from './fio.js';
import type { Plan } from './plan.js';
import { measureQemu } from './qemu-disk.js';

const mebibytes = 1024;
const realWorkloads = [
  'random read, depth 1',
  'random write, depth 1',
  'random read, depth 32',
  'random write, depth 32',
] as const satisfies readonly WorkloadName[];

const goals = {
  'fio, io_uring, direct': { 1: 0.9, 32: 0.9 },
  'qemu-storage-daemon by vhost-user, io_uring, direct': { 1: 1, 32: 1.2 },
} as const;
type Other = keyof typeof goals;
const others = Object.keys(goals) as Other[];

/** Measured with a packed queue, too. */
const packedWorkload: WorkloadName = 'random read, depth 32';

/**
 * Requests per second, by turns. Every program runs on the last processor, and the driver on the first: at depth 1, it
 * is the distance from the processor that the disk interrupts that decides.
 */
export async function measureRealDisk({ rounds, seconds }: Plan): Promise<Row[]> {
  const processors = allowedProcessors();
  const [first = 0] = processors;
  const processor = processors.at(-1) ?? first;
  const folder = mkdtempSync(join(checkoutRoot, 'build', 'disk-'));
  runOn(first);
  try {
    const path = join(folder, 'image');
    makeImage(path, mebibytes);
    const backend = { type: 'file', path, cache: 'none' } as const;
    const size = mebibytes * 2 ** 20;
    const rates = new Map<string, number[]>();
    const packed: number[] = [];
    const add = (program: Other | 'engine', workload: WorkloadName, rate: number): void => {
      const key = `${program}: ${workload}`;
      rates.set(key, [...(rates.get(key) ?? []), rate]);
    };
    for (let round = 0; round < rounds; round++) {
      for (const workload of realWorkloads) {
        const { depth, rw } = workloads[workload];
        const load = { queues: 1, depth, processor };
        const writing = rw === 'randwrite';
        add('fio, io_uring, direct', workload, fioOnFile(path, workload, seconds, processor).iops);
        add('engine', workload, await measureEngine({ ...load, backend, threads: 1 }, writing, seconds));
        const socket = join(folder, 'socket');
        const node = `driver=file,filename=${path},aio=io_uring,cache.direct=on`;
        const qemu = await measureQemu({ ...load, node, size, socket }, writing, seconds);
        add('qemu-storage-daemon by vhost-user, io_uring, direct', workload, qemu);
      }
      const { depth } = workloads[packedWorkload];
      const engine = { backend, queues: 1, threads: 1, depth, packed: true, processor };
      packed.push(await measureEngine(engine, false, seconds));
      console.error(`real disk: round ${round + 1} of ${rounds}`);
    }
    const rate = (program: Other | 'engine', workload: WorkloadName): number =>
      median(rates.get(`${program}: ${workload}`) ?? []);
    const rows = others.flatMap((other) =>
      realWorkloads.map((workload): Row => ({
        what: `the engine alone, on a file of this machine: ${workload}`,
        ours: perSecond(rate('engine', workload)),
        against: `${other} ${perSecond(rate(other, workload))}`,
        figure: rate('engine', workload) / rate(other, workload),
        goal: { atLeast: goals[other][workloads[workload].depth] },
      })),
    );
    const split = rate('engine', packedWorkload);
    const packedRow: Row = {
      what: `the engine alone, on a file of this machine, packed queue: ${packedWorkload}`,
      ours: perSecond(median(packed)),
      against: `split queue ${perSecond(split)}`,
      figure: median(packed) / split,
      goal: { atLeast: 1 },
    };
    return [...rows, packedRow];
  } finally {
    runOn(...processors);
    rmSync(folder, { recursive: true });
  }
}

/** A file every byte of which is allocated. */
export function makeImage(path: string, mebibytes: number): void {
  const piece = randomFillSync(new Uint8Array(2 ** 20));
  const fd = openSync(path, 'wx', 0o600);
  for (let index = 0; index < mebibytes; index++) writeSync(fd, piece);
  closeSync(fd);
}
