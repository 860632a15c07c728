/** A slow disk: the machine's null_blk, directly and through servers, one after another. */
import { writeFileSync } from 'node:fs';
import { fio, workloads } from './fio.js';
import type { Plan } from './plan.js';
import {
  fullQueues,
  waitingDisks,
  waitingWorkloads,
  type Resident,
  type WaitingDisk,
  type WaitingResults,
} from './results.js';
import { diskOf, ServerProcess } from './server.js';

const disk = '/dev/nullb0';
const device = 'waiting0';

function command(name: Exclude<WaitingDisk, 'the disk itself'>): string[] {
  switch (name) {
    case 'vdpa file':
      return ['vdpa', 'vduse', 'serve', 'name', device, 'queues', '4', 'queue_size', '256', 'path', disk];
    case 'qemu io_uring':
      return [
        ...['qemu-storage-daemon', '--blockdev'],
        `driver=host_device,node-name=f,filename=${disk},aio=io_uring,cache.direct=on`,
        ...['--blockdev', 'driver=raw,node-name=d,file=f'],
        ...['--export', `type=vduse-blk,id=e,node-name=d,name=${device},writable=on,num-queues=4,queue-size=256`],
      ];
  }
}

/** The time in which V8 compiles what a server executes often: on emulated processors it takes this long. */
const WARM_UP_SECONDS = 15;

/** Requests per second of each workload. */
function take(node: string, seconds: number): number[] {
  return Object.values(waitingWorkloads).map((workload) => {
    // What a server has already read must not come from the page cache.
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return fio(node, workload, seconds).iops;
  });
}

/** Each disk, all workloads, in turn. */
export async function measureWaiting({ rounds, seconds }: Plan): Promise<WaitingResults> {
  const rates: Record<WaitingDisk, number[][]> = { 'the disk itself': [], 'vdpa file': [], 'qemu io_uring': [] };
  const resident: Resident[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const name of waitingDisks) {
      if (name === 'the disk itself') {
        rates[name].push(take(disk, seconds));
        continue;
      }
      const server = await ServerProcess.start(device, command(name));
      const node = await diskOf(device);
      fio(node, workloads['random read, depth 32'], WARM_UP_SECONDS);
      rates[name].push(take(node, seconds));
      if (name === 'vdpa file') {
        fio(node, fullQueues, seconds);
        resident.push(server.resident);
      }
      await server.stop();
    }
    console.error(`waiting: round ${round + 1} of ${rounds}`);
  }
  return { rates, resident };
}
