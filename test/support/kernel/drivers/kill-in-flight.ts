import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Random } from '../../random.js';
import { onNbdkit } from '../servers/nbdkit.js';
import { errorsOf, show } from '../servers/shown.js';
import { letLive } from '../servers/supervised.js';
import { diskOf, sh, until } from '../servers/vduse.js';
import { noDiskErrors, sameContent } from './disk-checks.js';
import { fio, totals } from './fio.js';

const NAME = 'waits0';

/**
 * Kills the server of a disk, again and again, while fio has requests in flight and verifies what it has written. Each
 * time, another server takes over.
 * @param path the disk below, of 32 MiB at least, whose transfers are in flight together
 * @param words more options of the device
 */
export async function killInFlight(
  context: TestContext,
  path: string,
  kills: number,
  seed: number,
  words = '',
): Promise<void> {
  await sh(`/run/bin/vdpa dev add mgmtdev vduse name ${NAME} path ${path} queues 2 restart on${words}`);
  const { cache, aio } = await show(NAME);
  assert.deepEqual([cache, aio], ['none', 'io_uring']);
  const disk = { name: NAME, node: await diskOf(NAME), path };
  await verifyDuring(context, disk, seed, (random) => killServers(NAME, kills, random));
}

/** The same with a disk on an NBD server, which lives on. */
export async function killOnNbd(context: TestContext, kills: number, seed: number): Promise<void> {
  const { path, disk: node } = await onNbdkit(context, NAME, 'queues', '2', 'restart', 'on');
  await verifyDuring(context, { name: NAME, node, path }, seed, (random) => killServers(NAME, kills, random));
}

/** Kills the NBD server of a disk, and begins it again. */
export async function killNbdServer(context: TestContext, kills: number, seed: number): Promise<void> {
  const { server, path, disk: node } = await onNbdkit(context, NAME, 'queues', '2', 'reconnect', '60');
  await verifyDuring(context, { name: NAME, node, path }, seed, async () => {
    for (let killed = 0; killed < kills; killed++) {
      const before = completedBy(node);
      await until('requests are answered', () => completedBy(node) > before);
      await server.kill();
      await server.start();
    }
  });
}

/** The reads and writes that a disk has completed: Documentation/block/stat.rst. */
function completedBy(node: string): number {
  const stat = readFileSync(`/sys/class/block/${node.slice('/dev/'.length)}/stat`, 'latin1')
    .trim()
    .split(/\s+/);
  return Number(stat[0]) + Number(stat[4]);
}

/** Kills one server of vdpa after another. */
async function killServers(name: string, kills: number, random: Random): Promise<void> {
  for (let killed = 0, last = 0; killed < kills; killed++) {
    const { pid } = await until('another server serves', async () => {
      // A server that has just begun, on a machine with much to do, may not answer in time.
      const shown = await show(name).catch(() => undefined);
      return shown?.pid !== undefined && shown.pid !== last && shown.state === 'running' && { pid: shown.pid };
    });
    await letLive(random, killed);
    process.kill(pid, 'SIGKILL');
    last = pid;
  }
}

/** Writes and verifies until something has been done, checks all, and deletes the device. */
async function verifyDuring(
  context: TestContext,
  disk: { readonly name: string; readonly node: string; readonly path: string },
  seed: number,
  work: (random: Random) => Promise<void>,
): Promise<void> {
  const random = new Random(seed);
  const progress = { isOver: false };
  const working = work(random).finally(() => {
    progress.isOver = true;
  });
  // It is awaited below.
  working.catch(() => undefined);
  let requests = 0;
  do {
    const jobs = await fio(
      2,
      ...[
        '--name=waits',
        `--filename=${disk.node}`,
        '--rw=randwrite',
        '--bs=4k',
        '--size=4m',
        '--offset_increment=16m',
      ],
      ...[`--randseed=${random.below(2 ** 31)}`, '--ioengine=libaio', '--direct=1', '--iodepth=32', '--fsync=64'],
      ...['--verify=crc32c', '--do_verify=1', '--verify_fatal=1'],
    );
    requests += totals(jobs).requests;
  } while (!progress.isOver);
  await working;
  context.diagnostic(`seed ${seed}: ${requests} requests`);
  await noDiskErrors();
  await sameContent(disk.node, disk.path);
  assert.equal(await errorsOf(disk.name), 0);
  await sh(`/run/bin/vdpa dev del ${disk.name}`);
}
