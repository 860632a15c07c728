/** Whether `vdpa dev bench` agrees with other programs that keep the same disk busy. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Blkio } from '../../test/support/kernel/drivers/libblkio.js';
import { imageBytes, serverCommand } from './disks.js';
import { fio, workloads } from './fio.js';
import type { Plan } from './plan.js';
import { agreeingDisks, agreeingWorkloads, type AgreementResults, type Agreeing, type Shares } from './results.js';
import { diskOf, giveToVhost, ServerProcess } from './server.js';

const BLOCK = 4096;

/** Rates and the processor time of the driver, of each disk and depth, in turn. */
export async function measureAgreement({ rounds, seconds }: Plan): Promise<AgreementResults> {
  const results: Agreeing[] = [];
  for (const [index, disk] of agreeingDisks.entries()) {
    const name = `agreeing${index}`;
    const command = serverCommand(disk, name);
    const server = command && (await ServerProcess.start(name, command));
    if (!server) spawnSync('vdpa-iproute2', ['dev', 'add', 'name', name, 'mgmtdev', 'vdpasim_blk']);
    for (const workload of agreeingWorkloads) {
      const { depth } = workloads[workload];
      const shares: Shares = { bench: [], fio: [], libblkio: [], busy: [] };
      for (let round = 0; round < rounds; round++) {
        const { rate, busy } = bench(name, depth, seconds);
        shares.bench.push(rate);
        shares.busy.push(busy);
        shares.fio.push(fio(await diskOf(name), workloads[workload], seconds).iops);
        const node = await giveToVhost(name);
        shares.libblkio.push(libblkio(node, depth, seconds));
        giveBack(name);
      }
      results.push({ disk, workload, ...shares });
      console.error(`agreement: ${disk}, ${workload}`);
    }
    if (server) await server.stop();
    else spawnSync('vdpa-iproute2', ['dev', 'del', name]);
  }
  return results;
}

function bench(name: string, depth: number, seconds: number): { readonly rate: number; readonly busy: number } {
  const time = `${Math.max(1, Math.round(seconds))}`;
  const args = ['-j', 'dev', 'bench', name, 'depth', `${depth}`, 'time', time];
  const { status, stdout, stderr } = spawnSync('vdpa', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`vdpa ${args.join(' ')}: ${stderr}`);
  const { bench: results } = JSON.parse(stdout) as {
    bench: Record<string, { driver_busy: number; operations: { requests_per_second: number }[] }>;
  };
  const result = results[name];
  const rate = result?.operations[0]?.requests_per_second;
  if (result === undefined || rate === undefined) throw new Error(`vdpa ${args.join(' ')}: ${stdout}`);
  return { rate, busy: result.driver_busy };
}

/** Random reads through libblkio, as the engine of fio makes them: as many again as were completed. */
function libblkio(node: string, depth: number, seconds: number): number {
  const disk = new Blkio(node, 1, imageBytes);
  const blocks = imageBytes / BLOCK;
  const read = (count: number): void => {
    for (let request = 0; request < count; request++) disk.read(0, Math.floor(Math.random() * blocks) * BLOCK, BLOCK);
  };
  try {
    const begin = performance.now();
    const end = begin + seconds * 1000;
    let requests = 0;
    read(depth);
    for (;;) {
      const done = disk.done(0, 1, depth);
      if (done.some((result) => result !== 0)) throw new Error(`libblkio on ${node}: results ${done.join(' ')}`);
      requests += done.length;
      if (performance.now() > end) return requests / ((performance.now() - begin) / 1000);
      read(done.length);
    }
  } finally {
    disk.close();
  }
}

/** Binds a device to virtio_blk again. */
function giveBack(name: string): void {
  const folder = `/sys/bus/vdpa/devices/${name}`;
  writeFileSync(`${folder}/driver/unbind`, name);
  writeFileSync(`${folder}/driver_override`, '\n');
  writeFileSync('/sys/bus/vdpa/drivers/virtio_vdpa/bind', name);
}
