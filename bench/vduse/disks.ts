/** The same load on each of the disks. */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { diskNames, type DiskName } from './disk-names.js';
import { fio, workloadNames, workloads, type WorkloadName } from './fio.js';
import type { Plan } from './plan.js';
import type { DiskResults, Resident, Turn } from './results.js';
import { diskOf, ServerProcess } from './server.js';

/** As large as the kernel's simulated disk. */
const mebibytes = 128;
export const imageBytes = mebibytes * 2 ** 20;

/** The command of a server of a device; undefined for the kernel's own. @param queues how many queues the device has */
export function serverCommand(disk: DiskName, name: string, queues = 1): string[] | undefined {
  const ours = (...words: string[]): string[] => [
    ...['vdpa', 'vduse', 'serve', 'name', name, 'queues', String(queues), 'queue_size', '256', ...words],
  ];
  const qemu = (...blockdevs: string[]): string[] => [
    'qemu-storage-daemon',
    ...blockdevs.flatMap((blockdev) => ['--blockdev', blockdev]),
    ...['--export', `type=vduse-blk,id=e,node-name=d,name=${name},writable=on,num-queues=${queues},queue-size=256`],
  ];
  const qemuFile = (aio: string): string[] =>
    qemu(`driver=file,node-name=f,filename=${makeImage(name)},aio=${aio}`, 'driver=raw,node-name=d,file=f');
  switch (disk) {
    case 'vdpa file':
      return ours('path', makeImage(name));
    case 'vdpa ram':
      return ours('backend', 'ram', 'size', `${mebibytes}M`);
    case 'vdpa null':
      return ours('backend', 'null', 'size', `${mebibytes}M`);
    case 'qemu threads':
      return qemuFile('threads');
    case 'qemu io_uring':
      return qemuFile('io_uring');
    case 'qemu null-co':
      return qemu(`driver=null-co,node-name=d,size=${imageBytes},read-zeroes=on`);
    case 'vdpasim':
      return undefined;
  }
}

/** A fully allocated file in memory. */
function makeImage(name: string): string {
  const path = `/dev/shm/${name}.img`;
  const piece = randomFillSync(new Uint8Array(2 ** 20));
  const fd = openSync(path, 'w');
  for (let index = 0; index < mebibytes; index++) writeSync(fd, piece);
  closeSync(fd);
  return path;
}

interface Disk {
  readonly name: DiskName;
  readonly node: string;
  readonly server: ServerProcess | undefined;
}

async function makeDisk(name: DiskName, index: number): Promise<Disk> {
  const device = `disk${index}`;
  const command = serverCommand(name, device);
  if (command === undefined) {
    spawnSync('vdpa-iproute2', ['dev', 'add', 'name', device, 'mgmtdev', 'vdpasim_blk']);
    return { name, node: await diskOf(device), server: undefined };
  }
  const server = await ServerProcess.start(device, command);
  return { name, node: await diskOf(device), server };
}

function take({ node, server }: Disk, workload: WorkloadName, seconds: number): Turn {
  const before = server?.cpuSeconds ?? 0;
  const { iops, bw_bytes: bytesPerSecond, total_ios: requests } = fio(node, workloads[workload], seconds);
  const cpuSeconds = (server?.cpuSeconds ?? 0) - before;
  return { requestsPerSecond: iops, bytesPerSecond, requests, cpuSeconds };
}

/** All disks, all workloads, in turn. */
export async function measureDisks({ rounds, seconds }: Plan): Promise<DiskResults> {
  const disks: Disk[] = [];
  for (const [index, name] of diskNames.entries()) disks.push(await makeDisk(name, index));
  // One pass over everything: afterwards the memory is allocated and code is compiled.
  for (const disk of disks) {
    take(disk, 'sequential write, 1 MiB, depth 4', 0.5);
    for (const workload of workloadNames) take(disk, workload, 0.5);
  }
  const turns = Object.fromEntries(
    diskNames.map((name) => [name, Object.fromEntries(workloadNames.map((workload) => [workload, [] as Turn[]]))]),
  ) as Record<DiskName, Record<WorkloadName, Turn[]>>;
  for (let round = 0; round < rounds; round++) {
    for (const workload of workloadNames) {
      for (let index = 0; index < disks.length; index++) {
        // Each round starts with a different one.
        const disk = disks[(index + round) % disks.length];
        if (disk) turns[disk.name][workload].push(take(disk, workload, seconds));
      }
    }
    console.error(`disks: round ${round + 1} of ${rounds}`);
  }
  const resident = Object.fromEntries(
    disks.map(({ name, server }) => [name, server?.resident ?? { total: 0, own: 0 }]),
  ) as Record<DiskName, Resident>;
  for (const { server } of disks) await server?.stop();
  return { turns, resident };
}
