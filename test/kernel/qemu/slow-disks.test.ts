import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { attachNbd } from '../../support/kernel/servers/nbd.js';
import { needs } from '../../support/kernel/lab/needs.js';
import { bash, sh, start, until } from '../../support/kernel/servers/vduse.js';

const MIB = 2 ** 20;

/** Makes requests of 4 KiB one after another, which must take at least this long. */
async function takes(disk: string, requests: number, milliseconds: number): Promise<void> {
  const begin = performance.now();
  await sh(`dd if=${disk} of=/dev/null bs=4k count=${requests} iflag=direct status=none`);
  const took = performance.now() - begin;
  assert.ok(took >= milliseconds, `${requests} requests of ${disk} took ${took} ms, not ${milliseconds}`);
}

/** Writes to a disk, bypassing the page cache, and reads the same back. */
async function keeps(disk: string): Promise<void> {
  await bash(`head -c 1M /dev/urandom > /tmp/content
    dd if=/tmp/content of=${disk} bs=64k oflag=direct status=none
    dd if=${disk} bs=64k count=16 iflag=direct status=none | cmp - /tmp/content`);
}

test('null_blk with a completion time takes that long for each request, and keeps what is written', async (context) => {
  const folder = '/sys/kernel/config/nullb/slow';
  await bash(`mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    mkdir ${folder}; cd ${folder}
    echo 64 > size; echo 4096 > blocksize; echo 1 > memory_backed; echo 2 > irqmode; echo 20000000 > completion_nsec; echo 1 > power`);
  context.after(() => bash(`echo 0 > ${folder}/power; rmdir ${folder}`));
  const disk = await until('the disk exists', () => {
    const name = readdirSync('/sys/block').find(
      (each) => each === 'slow' || (each.startsWith('nullb') && each !== 'nullb0'),
    );
    return name !== undefined && `/dev/${name}`;
  });
  await takes(disk, 50, 50 * 20);
  await keeps(disk);
});

test('dm-delay delays, dm-flakey fails and works again', needs('dmsetup'), async (context) => {
  const sectors = Number(readFileSync('/sys/block/sda/size', 'utf8'));
  await sh('dmsetup --noudevsync --version');
  const map = (name: string, table: string): Promise<string> =>
    bash(`dmsetup --noudevsync create ${name} --table '0 ${sectors} ${table}'; dmsetup mknodes ${name}`);
  context.after(() => bash('for name in late flaky; do dmsetup --noudevsync remove $name; done'));
  await map('late', 'delay /dev/sda 0 20');
  await takes('/dev/mapper/late', 50, 50 * 20);
  await keeps('/dev/mapper/late');
  await map('flaky', 'flakey /dev/sda 0 3600 0');
  await keeps('/dev/mapper/flaky');
  await bash(`dmsetup --noudevsync suspend flaky
    dmsetup --noudevsync load flaky --table '0 ${sectors} flakey /dev/sda 0 0 3600'
    dmsetup --noudevsync resume flaky`);
  const read = await start('dd', 'if=/dev/mapper/flaky', 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct');
  assert.notEqual(read.status, 0);
  assert.match(read.stderr, /Input\/output error/);
});

test('a disk of scsi_debug keeps what is written', async () => {
  await keeps('/dev/sda');
});

test('an nbd disk keeps what is written in the file it is served from', async () => {
  const memory = Buffer.alloc(8 * MIB);
  const end = await attachNbd(memory);
  await keeps('/dev/nbd0');
  assert.ok(memory.subarray(0, MIB).equals(readFileSync('/tmp/content')));
  await end();
});
