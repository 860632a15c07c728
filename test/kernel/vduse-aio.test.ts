/** The ways to carry out the transfers of a disk on a block device of this machine. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { IoVector } from '../../src/sys/io-vector.js';
import { DISCARD, READ, type Operation } from '../../src/vduse/block/backend.js';
import { AsyncFileBackend } from '../../src/vduse/block/backends/async-file.js';
import { FlushFailure } from '../../src/vduse/block/backends/flush-failure.js';
import { serveBlockDevice } from '../../src/vduse/block/device.js';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { loopDisk } from '../support/kernel/servers/loop-disk.js';
import { bash, blockDevice, mountPoint, sh } from '../support/kernel/servers/vduse.js';
import { asyncModes, openCarrier, whySkipped } from '../vduse/block/backends/carriers.js';
import { memory } from '../vduse/block/backends/transfers.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;

/** How many discards a disk has carried out, from Documentation/block/stat. */
const discardsOf = (disk: string): number =>
  Number(
    readFileSync(`/sys/block/${basename(disk)}/stat`, 'utf8')
      .trim()
      .split(/\s+/)[11],
  );

const checksum = (path: string): Promise<string> => bash(`dd if=${path} bs=1M iflag=direct status=none | md5sum`);

for (const aio of asyncModes) {
  const skip = whySkipped(aio);

  test(`aio ${aio}: what is written is on the disk, and discards reach it`, needs('losetup'), async (context) => {
    if (skip !== false) {
      context.skip(skip);
      return;
    }
    const lower = await loopDisk(context, `/tmp/${aio}`, 32);
    const { disk, server } = await blockDevice(context, {
      name: `by-${aio}`,
      backend: { type: 'file', path: lower, cache: 'none', aio },
    });
    await bash(`dd if=/dev/urandom of=${disk} bs=1M count=32 oflag=direct conv=fsync status=none`);
    assert.equal(await checksum(disk), await checksum(lower));
    const before = discardsOf(lower);
    await sh(`blkdiscard -o ${4 * MIB} -l ${8 * MIB} ${disk}`);
    assert.ok(discardsOf(lower) > before, 'the disk has discarded nothing');
    await sh(`blkdiscard -z -o ${16 * MIB} -l ${8 * MIB} ${disk}`);
    const zeros = await bash(`head -c ${8 * MIB} /dev/zero | md5sum`);
    for (const skipped of [4, 16]) {
      const range = `dd if=${disk} bs=1M skip=${skipped} count=8 iflag=direct status=none | md5sum`;
      assert.equal(await bash(range), zeros);
    }
    await sh(`mkfs.ext4 -q ${disk}`);
    const folder = mountPoint(`by-${aio}`);
    await bash(`mount ${disk} ${folder}; cp -r /usr/share/zoneinfo/Europe ${folder}; sync; umount ${folder}`);
    await sh(`fsck.ext4 -fn ${disk}`);
    assert.equal(server.status().queues[0]?.errors, 0);
  });

  test(`aio ${aio}: a discard that waits holds up no read`, needs('losetup', 'fsfreeze'), async (context) => {
    if (skip !== false) {
      context.skip(skip);
      return;
    }
    const lower = await loopDisk(context, `/tmp/frozen-${aio}`, 32);
    const folder = mountPoint(`frozen-${aio}`);
    await bash(`mkfs.ext4 -q ${lower}; mount ${lower} ${folder}`);
    context.after(() => bash(`umount ${folder}`));
    writeFileSync(`${folder}/disk`, new Uint8Array(MIB).fill(7));
    await sh(`sync`);
    const fd = openSync(`${folder}/disk`, constants.O_RDWR | constants.O_DIRECT);
    const carrier = openCarrier(aio, fd);
    assert.ok(carrier);
    const opened = { fd, size: MIB, blockDevice: undefined, direct: 512 };
    const backend = new AsyncFileBackend(opened, carrier, new FlushFailure(new Int32Array(16), undefined));
    const vector = new IoVector(1);
    vector.push(memory.address, 4096);
    const operation = (type: Operation['type'], count: number): Operation => ({
      ...{ type, position: 0, length: 4096, first: 0, count, unmap: false, error: -9 },
    });
    const discard = operation(DISCARD, 0);
    await sh(`fsfreeze -f ${folder}`);
    try {
      backend.submit(discard, vector);
      for (let round = 0; round < 50; round++) {
        const read = operation(READ, 1);
        memory.u8.fill(0, 0, 4096);
        backend.submit(read, vector);
        while (read.error === -9) backend.reap(() => undefined);
        assert.deepEqual([read.error, memory.u8[0], memory.u8[4095]], [0, 7, 7]);
        assert.equal(discard.error, -9, 'the discard has waited for nothing');
      }
    } finally {
      await sh(`fsfreeze -u ${folder}`);
    }
    while (discard.error === -9) backend.reap(() => undefined);
    assert.equal(discard.error, 0);
    backend.close();
    vector.free();
    closeSync(fd);
  });
}

test(
  'without io_uring, Linux AIO is chosen; without the page cache only',
  needs('losetup', '/proc/sys/kernel/io_uring_disabled'),
  async (context) => {
    const disabled = '/proc/sys/kernel/io_uring_disabled';
    const before = readFileSync(disabled, 'latin1');
    context.after(() => {
      writeFileSync(disabled, before);
    });
    writeFileSync(disabled, '2');
    const lower = await loopDisk(context, '/tmp/without', 32);
    const access = async (name: string, cache?: 'writeback'): Promise<unknown> => {
      const backend = { type: 'file', path: lower, ...(cache && { cache }) } as const;
      const served = await serveBlockDevice({ name, backend });
      await served.server.stop();
      return [served.access?.cache, served.access?.aio];
    };
    assert.deepEqual(await access('without1'), ['none', 'native']);
    assert.deepEqual(await access('without2', 'writeback'), ['writeback', 'threads']);
  },
);
