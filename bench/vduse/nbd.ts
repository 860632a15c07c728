/** The engine alone on an NBD server of this machine, against qemu-storage-daemon on the same. */
import { availableParallelism } from 'node:os';
import { median } from '../measure.js';
import { perSecond, type Row } from '../report.js';
import { nbdCases, nbdWhat } from './disk-rows.js';
import { measureEngine } from './engine.js';
import { nbdBytes, startMemory } from './nbdkit.js';
import type { Plan } from './plan.js';
import { measureQemu } from './qemu-disk.js';
import { nbdLoads } from './results.js';

/** Random reads, by turns. The NBD server needs a processor too, so the driver sleeps. @throws Error if a program is missing */
export async function measureNbd({ rounds, seconds }: Plan): Promise<Row[]> {
  const rates = nbdCases.map(() => ({ ours: [] as number[], qemu: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, { delay, load }] of nbdCases.entries()) {
      const server = await startMemory(delay);
      try {
        const queues = { ...nbdLoads[load], deviceThreads: availableParallelism() };
        const backend = { type: 'nbd', uri: server.uri } as const;
        const threads = Math.min(queues.queues, availableParallelism());
        rates[index]?.ours.push(await measureEngine({ ...queues, backend, threads }, false, seconds));
        const socket = `${server.socket}-vhost`;
        const node = `driver=nbd,server.type=unix,server.path=${server.socket}`;
        rates[index]?.qemu.push(await measureQemu({ ...queues, node, size: nbdBytes, socket }, false, seconds));
      } finally {
        await server.kill();
      }
    }
    console.error(`NBD: round ${round + 1} of ${rounds}`);
  }
  return nbdCases.map(({ delay, load }, index) => {
    const [ours, qemu] = [median(rates[index]?.ours ?? []), median(rates[index]?.qemu ?? [])];
    return {
      what: `the engine alone, ${nbdWhat(delay, load)}`,
      ours: perSecond(ours),
      against: `qemu-storage-daemon by vhost-user ${perSecond(qemu)}`,
      figure: ours / qemu,
      goal: { atLeast: 1 },
    };
  });
}
