/** Reads of a served disk while its flushes take 50 ms: dm-delay(8) on the machine's second disk. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { fio, workloads } from './fio.js';
import type { Plan } from './plan.js';
import type { FlushResults } from './results.js';
import { diskOf, ServerProcess } from './server.js';

const device = 'flushing0';
const below = '/dev/sda';
const flushMs = 50;
const warmUpSeconds = 5;

function dmsetup(...args: string[]): void {
  const { status, stderr } = spawnSync('dmsetup', ['--noudevsync', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`dmsetup ${args.join(' ')}: ${stderr}`);
}

/** Requests per second by turns: alone, and while another process writes blocks and flushes each. */
export async function measureBesideFlush({ rounds, seconds }: Plan): Promise<FlushResults> {
  const sectors = readFileSync('/sys/block/sda/size', 'utf8').trim();
  const target = (delay: number): string => `${below} 0 ${delay}`;
  dmsetup('create', device, '--table', `0 ${sectors} delay ${target(0)} ${target(0)} ${target(flushMs)}`);
  dmsetup('mknodes', device);
  const server = await ServerProcess.start(device, [
    ...['vdpa', 'vduse', 'serve', 'name', device, 'queue_size', '256', 'path', `/dev/mapper/${device}`],
  ]);
  const node = await diskOf(device);
  const read = (time: number): number => fio(node, workloads['random read, depth 32'], time).iops;
  const results = { alone: [] as number[], beside: [] as number[] };
  read(warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    results.alone.push(read(seconds));
    const flusher = spawn('fio', [
      ...['--name=flush', `--filename=${node}`, '--allow_file_create=0', '--rw=randwrite', '--bs=4k', '--direct=1'],
      ...['--fsync=1', '--time_based', '--runtime=1h'],
    ]);
    results.beside.push(read(seconds));
    flusher.kill();
    await once(flusher, 'exit');
  }
  await server.stop();
  dmsetup('remove', device);
  return results;
}
