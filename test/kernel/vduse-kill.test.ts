import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockDeviceOptions } from '../../src/vduse/block/device.js';
import { noDiskErrors, sameContent } from '../support/kernel/drivers/disk-checks.js';
import { fio, totals } from '../support/kernel/drivers/fio.js';
import { killInFlight } from '../support/kernel/drivers/kill-in-flight.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { loopDisk } from '../support/kernel/servers/loop-disk.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, bash, detach, diskOf } from '../support/kernel/servers/vduse.js';
import { Random } from '../support/random.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const KILLS = Number(process.env['VDPA_KILLS'] ?? 25);
const SEED = Number(process.env['VDPA_KILL_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const DISK = 48 * MIB;

/** Writes the whole disk in random order and sizes, then reads every block back and checks it. */
async function writeAndVerify(disk: string, seed: number): Promise<{ requests: number; verified: number }> {
  const jobs = await fio(
    4,
    ...['--name=kill', `--filename=${disk}`, '--rw=randwrite', '--bs=16k', '--size=12m', `--randseed=${seed}`],
    ...['--verify=crc32c', '--do_verify=1', '--verify_fatal=1', '--ioengine=libaio', '--direct=1', '--iodepth=16'],
    ...['--offset_increment=12m', '--fsync=32'],
  );
  const { requests, bytesRead } = totals(jobs);
  assert.equal(bytesRead, DISK);
  return { requests, verified: bytesRead };
}

test(`${KILLS} servers killed at random moments under fio --verify: no error, every block verified`, async (context) => {
  await bash(`truncate -s ${DISK} /tmp/killed`);
  const device: BlockDeviceOptions = {
    name: 'killed',
    backend: { type: 'file', path: '/tmp/killed' },
    queues: 2,
    threads: 2,
  };
  let server = await ServerProcess.start(device);
  await attach('killed');
  const disk = await diskOf('killed');
  const random = new Random(SEED);
  const progress = { isOver: false };
  const killer = (async () => {
    for (let kills = 0; kills < KILLS; kills++) {
      await sleep(random.below(120));
      await server.kill();
      server = new ServerProcess([{ ...device, takeOver: true }]);
      // Some are killed while they take over.
      if (random.chance(70)) await server.ready();
      else await sleep(random.below(400));
    }
    await server.kill();
    server = await ServerProcess.start({ ...device, takeOver: true });
  })().finally(() => {
    progress.isOver = true;
  });
  // It is awaited below.
  killer.catch(() => undefined);
  let requests = 0;
  let verified = 0;
  let passes = 0;
  do {
    const pass = await writeAndVerify(disk, random.below(2 ** 31));
    requests += pass.requests;
    verified += pass.verified;
    passes++;
  } while (!progress.isOver);
  await killer;
  // And once more without a kill, to check what the last one may have left.
  const last = await writeAndVerify(disk, random.below(2 ** 31));
  context.diagnostic(
    `seed ${SEED}: ${KILLS} kills, ${passes + 1} passes, ${requests + last.requests} requests, ` +
      `${verified + last.verified} bytes verified`,
  );
  await noDiskErrors();
  await sameContent(disk, '/tmp/killed');
  assert.equal(
    (await server.device('killed')).queues.reduce((sum, { errors: count }) => sum + count, 0),
    0,
  );
  await detach('killed');
  await server.stop();
});

test(`${KILLS} servers killed with requests of a disk in flight: no error, every block verified`, async (context) => {
  await killInFlight(context, await loopDisk(context, '/tmp/in-flight', 32), KILLS, SEED);
});
