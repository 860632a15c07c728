/** A file system without space: writes that need some fail, and nothing else does. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { BlockLoad, numbersOf } from '../support/kernel/drivers/block-load.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { loopDisk } from '../support/kernel/servers/loop-disk.js';
import { errorsOf, show } from '../support/kernel/servers/shown.js';
import { bash, giveToVhost, sh, until } from '../support/kernel/servers/vduse.js';
import { BlockHistory } from '../support/block-history.js';
import { Random } from '../support/random.js';

const { test } = testsWith(VDUSE, 'mkfs.ext4');

const VDPA = '/run/bin/vdpa';
const SEED = Number(process.env['VDPA_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const MODES = ['none io_uring', 'none native', 'none threads', 'writeback io_uring', 'writeback threads'] as const;

/** Of the device, in blocks of 4 KiB: twice what the file system has. */
const BLOCKS = 8192;
/** Blocks that have their space from the beginning. */
const EARLY = 64;
/** Blocks that get theirs when there is room again. */
const LATE = 256;
const TIMEOUT_MS = 60_000;

for (const mode of MODES) {
  const [cache, aio] = mode.split(' ');
  test(`cache ${cache} aio ${aio}: only writes without space fail, and succeed once there is some`, async (context) => {
    const small = await loopDisk(context, '/tmp/small', 16);
    await bash(`mkfs.ext4 -q -b 4096 ${small}; mkdir -p /tmp/small; mount -t ext4 ${small} /tmp/small
      fallocate -l 6M /tmp/small/other; truncate -s ${BLOCKS * 4}K /tmp/small/disk`);
    context.after(() => bash('umount /tmp/small'));
    await sh(`${VDPA} dev add mgmtdev vduse name full0 path /tmp/small/disk cache ${cache} aio ${aio} queues 2`);
    const shown = await show('full0');
    assert.deepEqual([shown.cache, shown.aio], [cache, aio]);
    const history = new BlockHistory(BLOCKS);
    const load = new BlockLoad(await giveToVhost('full0'), history, new Random(SEED), 2);
    load.begin();
    await load.writeAll(EARLY, TIMEOUT_MS);
    assert.equal(load.failed.length, 0);
    const { failed } = load;
    for (const end = performance.now() + TIMEOUT_MS; failed.length < 50;) {
      assert.ok(performance.now() < end, 'the file system does not fill up');
      await load.run(10, 'writes');
    }
    await load.settle();

    const errors = failed.length;
    assert.ok(
      failed.every((block) => block !== undefined && block >= EARLY),
      'a write that needs no space failed',
    );
    assert.equal(await errorsOf('full0'), errors);
    assert.equal((await show('full0')).state, 'running');
    // There is none for others either.
    await load.run(200, 'reads');
    await load.run(200, 'all', EARLY);
    await load.settle();
    assert.deepEqual(failed.slice(errors), []);

    await bash('rm /tmp/small/other; sync -f /tmp/small');
    await load.writeAll(LATE, TIMEOUT_MS);
    await load.settle();
    assert.deepEqual(failed.slice(errors), []);
    assert.equal(await errorsOf('full0'), errors);

    context.diagnostic(`${errors} errors, ${load.answered} other answers`);
    load.close();
    await sh(`${VDPA} vduse del full0`);
    await until('no server is left', () => runningServers().length === 0);
    nothingLeft();
    numbersOf(readFileSync('/tmp/small/disk')).forEach((number, block) => {
      history.found(block, number, 'the file');
    });
  });
}
