/** The engine alone on a file in memory: four queues on two processors, against one queue on one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { median } from '../measure.js';
import { perSecond, type Row } from '../report.js';
import { measureEngine } from './engine.js';
import type { Plan } from './plan.js';
import { makeImage } from './real-disk.js';

const mebibytes = 256;
const depth = 32;

/** Random reads, by turns. @throws Error on a machine with one processor */
export async function measureProcessors({ rounds, seconds }: Plan): Promise<Row[]> {
  if (availableParallelism() < 2) throw new Error('there is only one processor');
  const folder = mkdtempSync('/dev/shm/vdpa-bench-');
  try {
    const path = join(folder, 'image');
    makeImage(path, mebibytes);
    const backend = { type: 'file', path } as const;
    const one: number[] = [];
    const two: number[] = [];
    for (let round = 0; round < rounds; round++) {
      one.push(await measureEngine({ backend, queues: 1, threads: 1, depth }, false, seconds));
      two.push(await measureEngine({ backend, queues: 4, threads: 2, depth }, false, seconds));
      console.error(`processors: round ${round + 1} of ${rounds}`);
    }
    return [
      {
        what: 'the engine alone, on a file in memory: random read, depth 32 each, four queues on two threads',
        ours: perSecond(median(two)),
        against: `one queue on one thread ${perSecond(median(one))}`,
        figure: median(two) / median(one),
        goal: { atLeast: 1.6 },
      },
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
