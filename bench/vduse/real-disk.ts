/** The disk of this machine: the engine alone on a file, against fio on the same file. Both past the page cache. */
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../lab/cache.js';
import { median } from '../measure.js';
import type { Row } from '../report.js';
import { measureEngine } from './engine.js';
import { fioOnFile, workloads, type WorkloadName } from './fio.js';
import type { Plan } from './plan.js';

const mebibytes = 1024;
const realWorkloads = [
  'random read, depth 1',
  'random write, depth 1',
  'random read, depth 32',
  'random write, depth 32',
] as const satisfies readonly WorkloadName[];

/** Requests per second, by turns. */
export async function measureRealDisk({ rounds, seconds }: Plan): Promise<Row[]> {
  const folder = mkdtempSync(join(checkoutRoot, 'build', 'disk-'));
  try {
    const path = join(folder, 'image');
    makeImage(path);
    const ours = new Map<WorkloadName, number[]>();
    const theirs = new Map<WorkloadName, number[]>();
    const add = (to: Map<WorkloadName, number[]>, workload: WorkloadName, rate: number): void => {
      to.set(workload, [...(to.get(workload) ?? []), rate]);
    };
    for (let round = 0; round < rounds; round++) {
      for (const workload of realWorkloads) {
        const { depth, rw } = workloads[workload];
        add(theirs, workload, fioOnFile(path, workload, seconds).iops);
        const engine = { path, cache: 'none', queues: 1, threads: 1, depth } as const;
        add(ours, workload, await measureEngine(engine, rw === 'randwrite', seconds));
      }
      console.error(`real disk: round ${round + 1} of ${rounds}`);
    }
    return realWorkloads.map((workload) => {
      const mine = median(ours.get(workload) ?? []);
      const other = median(theirs.get(workload) ?? []);
      return {
        what: `the engine alone, on a file of this machine: ${workload}`,
        ours: `${Math.round(mine).toLocaleString('en')}/s`,
        against: `fio, io_uring, direct ${Math.round(other).toLocaleString('en')}/s`,
        figure: mine / other,
        goal: { atLeast: 0.9 },
      };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A file every byte of which is on the disk. */
function makeImage(path: string): void {
  const piece = randomFillSync(new Uint8Array(2 ** 20));
  const fd = openSync(path, 'wx', 0o600);
  for (let index = 0; index < mebibytes; index++) writeSync(fd, piece);
  closeSync(fd);
}
