/** A disk of vdpa on an NBD server, and the kernel's own on the same, by turns. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { nbdCases } from './disk-rows.js';
import { fio, workloads } from './fio.js';
import { startMemory } from './nbdkit.js';
import type { Plan } from './plan.js';
import { nbdLoads, type NbdDelay, type NbdLoad, type NbdResults } from './results.js';
import { diskOf, eventually, ServerProcess } from './server.js';

const kernelDisk = '/dev/nbd0';
const device = 'nbd0';

/** The time in which V8 compiles what a server executes often: on emulated processors it takes this long. */
const WARM_UP_SECONDS = 15;

function nbdClient(...argv: readonly string[]): void {
  const { status, stderr, error } = spawnSync('nbd-client', argv, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`nbd-client ${argv.join(' ')}: ${error?.message ?? stderr}`);
}

/** Random reads. @throws Error if a program or the kernel's driver is missing */
export async function measureKernelNbd({ rounds, seconds }: Plan): Promise<NbdResults> {
  if (!existsSync(kernelDisk)) throw new Error(`there is no ${kernelDisk}`);
  const results: Record<NbdDelay, Record<NbdLoad, { 'vdpa nbd': number[]; "the kernel's nbd": number[] }>> = {
    0: emptyResults(),
    1: emptyResults(),
  };
  for (const { delay, load } of nbdCases) {
    const { queues, depth } = nbdLoads[load];
    const workload = { ...workloads['random read, depth 32'], depth, jobs: queues };
    const server = await startMemory(delay);
    nbdClient('-u', server.socket, kernelDisk, '-N', '', '-C', String(queues), '-b', '4096');
    const vdpa = ['vdpa', 'vduse', 'serve', 'name', device, 'queues', String(queues), 'uri', server.uri];
    const own = await ServerProcess.start(device, vdpa);
    const node = await diskOf(device);
    fio(node, workload, WARM_UP_SECONDS);
    for (let round = 0; round < rounds; round++) {
      results[delay][load]['vdpa nbd'].push(fio(node, workload, seconds).iops);
      results[delay][load]["the kernel's nbd"].push(fio(kernelDisk, workload, seconds).iops);
    }
    await own.stop();
    nbdClient('-d', kernelDisk);
    await eventually('the disk is free', () => !existsSync('/sys/block/nbd0/pid') || undefined);
    await server.kill();
    console.error(`NBD, ${delay} ms, ${load}: measured`);
  }
  return results;
}

const emptyResults = (): Record<NbdLoad, { 'vdpa nbd': number[]; "the kernel's nbd": number[] }> => ({
  'depth 32': { 'vdpa nbd': [], "the kernel's nbd": [] },
  '4 queues, depth 32 each': { 'vdpa nbd': [], "the kernel's nbd": [] },
});
