import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockDeviceOptions } from '../../src/vduse/block-device.js';
import { testsWith, VDUSE } from '../support/kernel/needs.js';
import { ServerProcess } from '../support/kernel/server-process.js';
import { attach, bash, detach, diskOf, sh, start } from '../support/kernel/vduse.js';
import { Random } from '../support/random.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const KILLS = Number(process.env['VDPA_KILLS'] ?? 25);
const SEED = Number(process.env['VDPA_KILL_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const DISK = 48 * MIB;

interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly read: { readonly total_ios: number; readonly io_bytes: number };
    readonly write: { readonly total_ios: number; readonly io_bytes: number };
  }[];
}

/** Writes the whole disk in any order and sizes, then reads every block back and checks it. */
async function writeAndVerify(disk: string, seed: number): Promise<{ requests: number; verified: number }> {
  const { status, stdout, stderr } = await start(
    'fio',
    ...['--name=kill', `--filename=${disk}`, '--rw=randwrite', '--bs=16k', '--size=12m', `--randseed=${seed}`],
    ...['--verify=crc32c', '--do_verify=1', '--verify_fatal=1', '--ioengine=libaio', '--direct=1', '--iodepth=16'],
    ...['--numjobs=4', '--offset_increment=12m', '--fsync=32', '--output-format=json'],
  );
  assert.equal(status, 0, stdout + stderr);
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport;
  assert.equal(jobs.length, 4);
  let requests = 0;
  let verified = 0;
  for (const { error, read, write } of jobs) {
    assert.equal(error, 0);
    requests += read.total_ios + write.total_ios;
    verified += read.io_bytes;
  }
  assert.equal(verified, DISK);
  return { requests, verified };
}

test(`${KILLS} servers killed at random moments under fio --verify: no error, every block verified`, async (context) => {
  await bash(`truncate -s ${DISK} /tmp/killed`);
  const device: BlockDeviceOptions = {
    name: 'killed',
    storage: { backend: 'file', path: '/tmp/killed' },
    queues: 2,
    threads: 2,
  };
  let server = await ServerProcess.start(device);
  await attach('killed');
  const disk = await diskOf('killed');
  const random = new Random(SEED);
  let kills = 0;
  const killer = (async () => {
    for (; kills < KILLS; kills++) {
      await sleep(random.below(120));
      await server.kill();
      server = new ServerProcess([{ ...device, takeOver: true }]);
      // Some die while they take over.
      if (random.chance(70)) await server.ready();
      else await sleep(random.below(400));
    }
    await server.kill();
    server = await ServerProcess.start({ ...device, takeOver: true });
  })();
  let requests = 0;
  let verified = 0;
  let passes = 0;
  do {
    const pass = await writeAndVerify(disk, random.below(2 ** 31));
    requests += pass.requests;
    verified += pass.verified;
    passes++;
  } while (kills < KILLS);
  await killer;
  // And once more without a kill: what the last one may have left.
  const last = await writeAndVerify(disk, random.below(2 ** 31));
  context.diagnostic(
    `seed ${SEED}: ${kills} kills, ${passes + 1} passes, ${requests + last.requests} requests, ` +
      `${verified + last.verified} bytes verified`,
  );
  const errors = (await bash('dmesg')).split('\n').filter((line) => /I\/O error|Buffer I\/O|timed out/i.test(line));
  assert.deepEqual(errors, []);
  await bash('echo 3 > /proc/sys/vm/drop_caches');
  assert.equal(
    (await sh(`md5sum ${disk}`)).split(' ')[0],
    (await sh('md5sum /tmp/killed')).split(' ')[0],
    'the file is not what the disk shows',
  );
  assert.equal(
    (await server.device('killed')).queues.reduce((sum, { errors: count }) => sum + count, 0),
    0,
  );
  await detach('killed');
  await server.stop();
});
