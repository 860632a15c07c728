import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, blockDevice, sh } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;

const attribute = (disk: string, name: string): string =>
  readFileSync(`/sys/block/${basename(disk)}/${name}`, 'utf8').trim();

/** How many discards a disk has carried out, from Documentation/block/stat. */
const discardsOf = (disk: string): number => Number(attribute(disk, 'stat').split(/\s+/)[11]);

test(
  'discard on a block device reaches the disk, whose block size and granularity the driver sees',
  needs('losetup'),
  async (context) => {
    const lower = (await bash('truncate -s 32M /tmp/lower.img; losetup -b 4096 -f --show /tmp/lower.img')).trim();
    context.after(() => bash(`losetup -d ${lower}; rm /tmp/lower.img`));
    assert.equal(attribute(lower, 'queue/logical_block_size'), '4096');
    const { disk, server } = await blockDevice(context, {
      name: 'discards',
      backend: { type: 'file', path: lower },
    });
    assert.equal(attribute(disk, 'queue/logical_block_size'), '4096');
    assert.equal(attribute(disk, 'queue/discard_granularity'), attribute(lower, 'queue/discard_granularity'));
    assert.equal(attribute(disk, 'queue/minimum_io_size'), attribute(lower, 'queue/minimum_io_size'));
    await bash(`dd if=/dev/urandom of=${disk} bs=1M count=32 oflag=direct status=none`);
    const before = discardsOf(lower);
    await sh(`blkdiscard -o ${4 * MIB} -l ${8 * MIB} ${disk}`);
    assert.ok(discardsOf(lower) > before, 'the disk has discarded nothing');
    const zeros = await bash(`head -c ${8 * MIB} /dev/zero | md5sum`);
    assert.equal(await bash(`dd if=${disk} bs=1M skip=4 count=8 iflag=direct status=none | md5sum`), zeros);
    await sh(`blkdiscard -z -o ${16 * MIB} -l ${8 * MIB} ${disk}`);
    assert.equal(await bash(`dd if=${disk} bs=1M skip=16 count=8 iflag=direct status=none | md5sum`), zeros);
    assert.equal(server.status().queues[0]?.errors, 0);
  },
);

test('discard on a block device: partial blocks of the disk are kept', needs('losetup'), async (context) => {
  const lower = (await bash('truncate -s 8M /tmp/small.img; losetup -b 4096 -f --show /tmp/small.img')).trim();
  context.after(() => bash(`losetup -d ${lower}; rm /tmp/small.img`));
  const backend = { type: 'file', path: lower } as const;
  const { disk, server } = await blockDevice(context, { name: 'smaller', backend, blockSize: 512 });
  await bash(`head -c 8M /dev/zero | tr '\\0' x | dd of=${disk} bs=1M iflag=fullblock oflag=direct status=none`);
  // From the middle of a block to the middle of another.
  await sh(`blkdiscard -f -o 2048 -l 8192 ${disk}`);
  await sh(`blkdiscard -f -z -o 1049088 -l 512 ${disk}`);
  const bytes = readFileSync(disk);
  assert.deepEqual([bytes[2048], bytes[4095], bytes[4096], bytes[8191], bytes[8192]], [0x78, 0x78, 0, 0, 0x78]);
  assert.deepEqual([bytes[1049087], bytes[1049088], bytes[1049599], bytes[1049600]], [0x78, 0, 0, 0x78]);
  assert.equal(server.status().queues[0]?.errors, 0);
});
