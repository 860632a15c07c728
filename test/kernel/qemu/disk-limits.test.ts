import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { serveBlockDevice } from '../../../src/vduse/block/device.js';
import { bash, blockDevice, until } from '../../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const attribute = (disk: string, name: string): string =>
  readFileSync(`/sys/block/${basename(disk)}/${name}`, 'utf8').trim();

test('a disk has the limits of the SCSI disk below it', async (context) => {
  const lower = '/dev/sda';
  // Only then does the driver of the disk keep a limit of its own for discards.
  await bash(
    `echo unmap > /sys/class/scsi_disk/*/provisioning_mode; echo 1048576 > /sys/block/sda/queue/discard_max_bytes`,
  );
  const { disk } = await blockDevice(context, { name: 'limits', backend: { type: 'file', path: lower } });
  // A physical block of the device has 4096 bytes at least.
  for (const name of ['minimum_io_size', 'discard_granularity']) {
    const least = Math.max(4096, Number(attribute(lower, `queue/${name}`)));
    assert.equal(Number(attribute(disk, `queue/${name}`)), least, name);
  }
  for (const name of ['optimal_io_size', 'discard_max_bytes']) {
    assert.equal(attribute(disk, `queue/${name}`), attribute(lower, `queue/${name}`), name);
  }
  assert.notEqual(attribute(lower, 'queue/optimal_io_size'), '0');
});

test('a host-managed zoned disk is rejected', async (context) => {
  const folder = '/sys/kernel/config/nullb/zones';
  await bash(`mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    mkdir ${folder}; cd ${folder}
    echo 64 > size; echo 4 > zone_size; echo 1 > zoned; echo 1 > memory_backed; echo 1 > power`);
  context.after(() => bash(`echo 0 > ${folder}/power; rmdir ${folder}`));
  const name = await until('the disk is there', () =>
    bash('grep -l host-managed /sys/block/*/queue/zoned | cut -d/ -f4'),
  );
  const path = `/dev/${name.trim()}`;
  await assert.rejects(serveBlockDevice({ name: 'zones', backend: { type: 'file', path } }), {
    name: 'DeviceOptionError',
    message: `${path} is a host-managed zoned disk, which can only be written in sequence: not supported. dm-zoned(8) makes a plain disk of it`,
  });
});
