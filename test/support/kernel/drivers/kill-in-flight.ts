import '../lab/inside.js';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Random } from '../../random.js';
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
  const disk = await diskOf(NAME);
  const { cache, aio } = await show(NAME);
  assert.deepEqual([cache, aio], ['none', 'io_uring']);
  const random = new Random(seed);
  let requests = 0;
  let killed = 0;
  const killer = (async () => {
    for (let last = 0; killed < kills; killed++) {
      const { pid } = await until('another server serves', async () => {
        const shown = await show(NAME);
        return shown.pid !== undefined && shown.pid !== last && shown.state === 'running' && { pid: shown.pid };
      });
      await letLive(random, killed);
      process.kill(pid, 'SIGKILL');
      last = pid;
    }
  })();
  do {
    const jobs = await fio(
      2,
      ...['--name=waits', `--filename=${disk}`, '--rw=randwrite', '--bs=4k', '--size=4m', '--offset_increment=16m'],
      ...[`--randseed=${random.below(2 ** 31)}`, '--ioengine=libaio', '--direct=1', '--iodepth=32', '--fsync=64'],
      ...['--verify=crc32c', '--do_verify=1', '--verify_fatal=1'],
    );
    requests += totals(jobs).requests;
  } while (killed < kills);
  await killer;
  context.diagnostic(`seed ${seed}: ${killed} kills, ${requests} requests`);
  await noDiskErrors();
  await sameContent(disk, path);
  assert.equal(await errorsOf(NAME), 0);
  await sh(`/run/bin/vdpa dev del ${NAME}`);
}
