/** Disks that are pulled with requests in flight: the driver gets errors, they are counted, and the device can be deleted. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, type TestContext } from 'node:test';
import { BLOCK_BYTES, BlockLoad } from '../../support/kernel/drivers/block-load.js';
import { nothingLeft, runningServers } from '../../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { NullDisk } from '../../support/kernel/servers/null-disk.js';
import { errorsOf, show } from '../../support/kernel/servers/shown.js';
import { bash, giveToVhost, sh, until } from '../../support/kernel/servers/vduse.js';
import { BlockHistory } from '../../support/block-history.js';
import { Random } from '../../support/random.js';

const { test } = testsWith(VDUSE, 'dmsetup');

const VDPA = '/run/bin/vdpa';
const SEED = Number(process.env['VDPA_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const BLOCKS = (8 * 1024 * 1024) / BLOCK_BYTES;

/** A disk that can be pulled. */
interface LowerDisk {
  readonly path: string;
  readonly pull: () => unknown;
  /** After which there can be another one. */
  readonly remove: () => Promise<unknown>;
}

async function nullDisk(): Promise<LowerDisk> {
  const disk = await NullDisk.create('pulled', { mebibytes: 8, microseconds: 1000 });
  return {
    path: disk.path,
    pull: () => {
      disk.turnOff();
    },
    remove: () => disk.remove(),
  };
}

/** A mapping of the SCSI disk that is replaced by errors. */
async function mappedDisk(): Promise<LowerDisk> {
  const sectors = BLOCKS * (BLOCK_BYTES / 512);
  await bash(`dmsetup --noudevsync create pulled --table '0 ${sectors} linear /dev/sda 0'; dmsetup mknodes pulled
    dd if=/dev/zero of=/dev/mapper/pulled bs=1M count=8 oflag=direct status=none`);
  return {
    path: '/dev/mapper/pulled',
    pull: () =>
      bash(`dmsetup --noudevsync suspend --noflush pulled; dmsetup --noudevsync load pulled --table '0 ${sectors} error'
        dmsetup --noudevsync resume pulled`),
    remove: () => bash('dmsetup --noudevsync remove pulled'),
  };
}

/** The SCSI disk itself, of which another one appears. */
async function scsiDisk(): Promise<LowerDisk> {
  await bash('dd if=/dev/zero of=/dev/sda bs=1M count=8 oflag=direct status=none');
  return {
    path: '/dev/sda',
    pull: () => {
      writeFileSync('/sys/block/sda/device/delete', '1');
    },
    remove: async () => {
      await bash('for host in /sys/class/scsi_host/host*; do echo "- - -" > $host/scan; done');
      await until('there is another one', () => readFileSync('/proc/partitions', 'latin1').includes(' sda\n'));
    },
  };
}

for (const [what, create, modes] of [
  ['a disk whose power is cut', nullDisk, ['none io_uring', 'none threads']],
  ['a mapping that becomes one of errors', mappedDisk, ['none native', 'writeback threads']],
  ['a SCSI disk that is deleted', scsiDisk, ['none io_uring', 'writeback io_uring']],
] as const) {
  describe(what, () => {
    for (const mode of modes) test(`with cache ${mode}`, (context) => pull(context, create, mode));
  });
}

async function pull(context: TestContext, create: () => Promise<LowerDisk>, mode: string): Promise<void> {
  const lower = await create();
  context.after(() => lower.remove());
  const [cache, aio] = mode.split(' ');
  await sh(`${VDPA} dev add mgmtdev vduse name pulled0 path ${lower.path} cache ${cache} aio ${aio} queues 2`);
  const shown = await show('pulled0');
  assert.deepEqual([shown.cache, shown.aio], [cache, aio]);
  const history = new BlockHistory(BLOCKS);
  const load = new BlockLoad(await giveToVhost('pulled0'), history, new Random(SEED), 2);
  load.begin();
  while (load.answered < 100) await load.run(10);
  assert.deepEqual(load.failed, []);

  load.fill();
  const pulling = lower.pull();
  await load.run(100);
  await pulling;
  await load.settle();
  if (cache === 'none') {
    // Not flushes: there is nothing to do for one if the disk had no cache.
    const { answered } = load;
    for (const mix of ['reads', 'writes'] as const) await load.run(100, mix);
    await load.settle();
    assert.equal(load.answered, answered, 'a transfer succeeded without a disk');
  } else {
    // Writes fail if the disk is gone; if it only fails, what is written cannot be flushed.
    const errors = load.failed.length;
    await until('something fails', async () => {
      await load.run(10);
      await load.settle();
      return load.failed.length > errors;
    });
  }

  context.diagnostic(`${load.failed.length} errors, ${load.answered} other answers`);
  assert.equal(await errorsOf('pulled0'), load.failed.length);
  assert.equal((await show('pulled0')).state, 'running');
  load.close();
  await sh(`${VDPA} vduse del pulled0`);
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
}
