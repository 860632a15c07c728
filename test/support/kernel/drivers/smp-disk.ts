import '../lab/inside.js';
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import type { TestContext } from 'node:test';
import { VdpaBus } from '../../../../src/sysfs/bus.js';
import { Random } from '../../random.js';
import { noDiskErrors, sameContent } from './disk-checks.js';
import { fio, totals } from './fio.js';
import { watchProcessors } from '../lab/processors.js';
import { ServerProcess } from '../servers/server-process.js';
import { done, letLive, newServer, serverOf } from '../servers/supervised.js';
import { attach, bash, detach, diskOf, until } from '../servers/vduse.js';

/** How requests are made: one at a time by a blocking thread, or `depth` at a time. */
export type Load = { readonly engine: 'psync' } | { readonly engine: 'io_uring' | 'libaio'; readonly depth: number };

/** Every way to make requests, with each depth. */
export const loadsOf = (depths: readonly number[]): Load[] => [
  { engine: 'psync' },
  ...(['io_uring', 'libaio'] as const).flatMap((engine) => depths.map((depth) => ({ engine, depth }))),
];

const FILE = '/tmp/smp.img';
const PROCESSORS = availableParallelism();
/** Two writers per processor, each with a part of the disk. */
const JOBS = 2 * PROCESSORS;
const PART = 2 ** 21;

const makeFile = (): Promise<string> => bash(`rm -f ${FILE}; truncate -s ${JOBS * PART} ${FILE}`);

/** Writes the disk from all processors in random order and sizes, while reading each block back once and checking it. */
async function writeAndVerify(disk: string, load: Load): Promise<ReturnType<typeof totals>> {
  const jobs = await fio(
    JOBS,
    ...[
      '--name=smp',
      `--filename=${disk}`,
      '--rw=randwrite',
      '--bsrange=4k-64k',
      '--bs_unaligned=0',
      '--blockalign=4k',
    ],
    ...['--verify=crc32c', '--verify_fatal=1', '--verify_backlog=16', '--serialize_overlap=1', '--randrepeat=0'],
    ...[`--ioengine=${load.engine}`, `--iodepth=${'depth' in load ? load.depth : 1}`, '--direct=1'],
    ...[`--cpus_allowed=0-${PROCESSORS - 1}`, '--cpus_allowed_policy=split'],
    ...[`--size=${PART}`, `--offset_increment=${PART}`],
  );
  for (const { read, write } of jobs) assert.deepEqual([write.io_bytes, read.io_bytes], [PART, PART], nameOf(load));
  return totals(jobs);
}

/** Does so with each load in turn, and starts over as long as `more` returns true. */
async function writeOn(disk: string, loads: readonly Load[], more: () => boolean): Promise<string> {
  let requests = 0;
  let verified = 0;
  let passes = 0;
  do {
    for (const load of loads) {
      const pass = await writeAndVerify(disk, load);
      requests += pass.requests;
      verified += pass.bytesRead;
      passes++;
    }
  } while (more());
  return `${passes} passes of fio, ${requests} requests, ${verified} bytes verified`;
}

const nameOf = (load: Load): string => ('depth' in load ? `${load.engine} ${load.depth}` : load.engine);

/** Writes to a disk of several queues from all processors, with each load, until this time is over and the pass is complete. */
export async function verifyDisk(
  context: TestContext,
  queues: number,
  loads: readonly Load[],
  seconds: number,
): Promise<void> {
  await makeFile();
  const backend = { type: 'file', path: FILE } as const;
  const server = await ServerProcess.start({ name: 'smp', backend, queues, threads: queues });
  context.after(async () => {
    if (new VdpaBus().device('smp')) await detach('smp');
    await server.stop();
  });
  await attach('smp');
  const disk = await diskOf('smp');
  const busy = watchProcessors();
  const end = performance.now() + seconds * 1000;
  const done = await writeOn(disk, loads, () => performance.now() < end);
  const shares = busy();
  const served = (await server.device('smp')).queues;
  const errors = served.reduce((sum, queue) => sum + queue.errors, 0);
  context.diagnostic(
    `${queues} queues: ${done}, ${errors} errors, ` +
      `processors busy ${shares.map((share) => `${Math.round(share * 100)} %`).join(' and ')}`,
  );
  assert.equal(errors, 0);
  // The kernel uses at most one queue per processor.
  const used = served.filter((queue) => queue.requests > 0).length;
  assert.equal(used, Math.min(queues, PROCESSORS));
  for (const share of shares)
    assert.ok(share > 0.3, `the processors were busy for ${shares.join(' and ')} of the time`);
  await noDiskErrors();
  await sameContent(disk, FILE);
}

/** Kills the server of a disk repeatedly under every load, each time after its successor has work. */
export async function killUnderLoad(context: TestContext, kills: number, seed: number): Promise<void> {
  await makeFile();
  await done(`dev add mgmtdev vduse name smp path ${FILE} queues 2 restart on`);
  context.after(() => done('dev del smp'));
  const disk = await diskOf('smp');
  const random = new Random(seed);
  let killed = 0;
  const kill = async (): Promise<void> => {
    let { pid } = await serverOf('smp');
    while (killed < kills) {
      await until('the server has work', async () => (await serverOf('smp')).requests > 0);
      await letLive(random, killed);
      process.kill(pid, 'SIGKILL');
      killed++;
      pid = await newServer('smp', pid);
    }
  };
  const [written] = await Promise.all([writeOn(disk, loadsOf([1, 8, 32]), () => killed < kills), kill()]);
  // And once more without a kill, to check what the last one may have left.
  const last = await writeOn(disk, loadsOf([8]), () => false);
  const { errors } = await serverOf('smp');
  context.diagnostic(`seed ${seed}: ${killed} kills, ${written}, ${last} after them, ${errors} errors`);
  assert.equal(errors, 0);
  await noDiskErrors();
  await sameContent(disk, FILE);
}
