import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { MEASURED_MS } from '../support/kernel/servers/failing-disk.js';
import {
  attach,
  bash,
  blockDevice,
  detach,
  diskOf,
  mountPoint,
  sh,
  start,
  until,
} from '../support/kernel/servers/vduse.js';
import { serveBlockDevice } from '../../src/vduse/block/device.js';

const { describe, test } = testsWith(VDUSE);

const MIB = 1024 * 1024;

async function makeFile(path: string, mebibytes: number): Promise<string> {
  await bash(`head -c ${mebibytes}M /dev/urandom > ${path}`);
  return path;
}

async function checksum(path: string, bytes?: number): Promise<string> {
  return (await bash(`head -c ${bytes ?? 2 ** 40} ${path} | md5sum`)).trim();
}

function attribute(disk: string, name: string): string {
  return readFileSync(`/sys/block/${disk.slice('/dev/'.length)}/${name}`, 'utf8').trim();
}

describe('a VDUSE block device', () => {
  test('holds a file system: made, filled, unmounted, checked, read again', async (context) => {
    const { disk, server } = await blockDevice(context, { name: 'fs0', backend: { type: 'ram' } });
    assert.equal(attribute(disk, 'size'), String((64 * MIB) / 512));
    assert.equal(attribute(disk, 'serial'), 'fs0');
    const folder = mountPoint('fs0');
    await sh(`mkfs.ext4 -q ${disk}`);
    await sh(`mount ${disk} ${folder}`);
    await bash(`find /usr/share/zoneinfo -type f | awk 'NR <= 400' | xargs cp --parents -t ${folder}`);
    const sums = await bash(`cd ${folder}; find . -type f | sort | xargs md5sum`);
    assert.ok(sums.split('\n').length > 300);
    await sh(`umount ${folder}`);
    await sh(`fsck.ext4 -fn ${disk}`);
    await sh(`mount ${disk} ${folder}`);
    assert.equal(await bash(`cd ${folder}; find . -type f | sort | xargs md5sum`), sums);
    await sh(`fstrim ${folder}`);
    await sh(`umount ${folder}`);
    await sh(`fsck.ext4 -fn ${disk}`);
    const [queue] = server.status().queues;
    assert.ok(queue && queue.requests > 100 && queue.bytesIn > 0 && queue.bytesOut > 0);
    assert.equal(queue.errors, 0);
  });

  test('in a file: the guest writes to the file, and reads what is in it', async (context) => {
    const path = await makeFile('/tmp/both', 32);
    const { disk } = await blockDevice(context, { name: 'both', backend: { type: 'file', path } });
    assert.equal(await checksum(disk), await checksum(path));
    const source = await makeFile('/tmp/source', 32);
    await sh(`dd if=${source} of=${disk} bs=64k oflag=direct`);
    assert.equal(await checksum(path), await checksum(source));
    await sh(`dd if=${source} of=${disk} bs=4096 seek=100 skip=7 count=1 conv=fsync`);
    await sh(`dd if=${source} of=${source} bs=4096 seek=100 skip=7 count=1 conv=notrunc`);
    assert.equal(await checksum(path), await checksum(source));
  });

  test('discarded ranges are holes in the file and read as zeros', async (context) => {
    const path = await makeFile('/tmp/holes', 32);
    const { disk } = await blockDevice(context, { name: 'holes', backend: { type: 'file', path } });
    const before = statSync(path).blocks;
    await sh(`blkdiscard -o ${4 * MIB} -l ${16 * MIB} ${disk}`);
    assert.equal(statSync(path).blocks, before - (16 * MIB) / 512);
    assert.equal(statSync(path).size, 32 * MIB);
    const zeros = await bash(`head -c ${16 * MIB} /dev/zero | md5sum`);
    assert.equal(await bash(`dd if=${disk} bs=1M skip=4 count=16 iflag=direct status=none | md5sum`), zeros);
    await sh(`blkdiscard -z -o ${24 * MIB} -l ${4 * MIB} ${disk}`);
    assert.equal(
      await bash(`dd if=${path} bs=1M skip=24 count=4 status=none | md5sum`),
      await bash(`head -c ${4 * MIB} /dev/zero | md5sum`),
    );
    assert.equal(await checksum(disk), await checksum(path));
  });

  test('a file that grows: the guest sees the new size', async (context) => {
    const path = await makeFile('/tmp/grows', 8);
    const { disk } = await blockDevice(context, { name: 'grows', backend: { type: 'file', path } });
    assert.equal(attribute(disk, 'size'), String((8 * MIB) / 512));
    truncateSync(path, 24 * MIB);
    await until('the disk has grown', () => attribute(disk, 'size') === String((24 * MIB) / 512));
    await bash(`dd if=/dev/urandom of=${disk} bs=1M seek=20 count=4 oflag=direct status=none`);
    assert.equal(await checksum(disk), await checksum(path));
  });

  test('a truncated file: errors for the missing part, service for the rest', async (context) => {
    const path = await makeFile('/tmp/cut', 8);
    const { disk, server } = await blockDevice(context, { name: 'cut', backend: { type: 'file', path } });
    truncateSync(path, 4 * MIB);
    const gone = await start('dd', `if=${disk}`, 'of=/dev/null', 'bs=1M', 'skip=6', 'iflag=direct');
    assert.equal(gone.status, 1);
    assert.match(gone.stderr, /Input\/output error/);
    await sh(`dd if=${disk} of=/dev/null bs=1M count=4 iflag=direct`);
    await sleep(MEASURED_MS);
    const written = await start('dd', 'if=/dev/zero', `of=${disk}`, 'bs=4k', 'seek=1800', 'count=1', 'oflag=direct');
    assert.equal(written.status, 1);
    assert.equal(statSync(path).size, 4 * MIB);
    assert.ok((server.status().queues[0]?.errors ?? 0) > 0);
  });

  test('read-only', async (context) => {
    const path = await makeFile('/tmp/readonly', 8);
    const { disk } = await blockDevice(context, {
      name: 'ro',
      readonly: true,
      backend: { type: 'file', path },
    });
    assert.equal(attribute(disk, 'ro'), '1');
    assert.equal(await checksum(disk), await checksum(path));
    assert.equal((await start('dd', 'if=/dev/zero', `of=${disk}`, 'bs=4k', 'count=1')).status, 1);
  });

  test('block size, serial number, queue size', async (context) => {
    const { disk } = await blockDevice(context, {
      name: 'geometry',
      backend: { type: 'ram', size: 16 * MIB },
      blockSize: 4096,
      serial: '12345678901234567890',
      queueSize: 64,
      queues: 2,
    });
    assert.equal(attribute(disk, 'queue/logical_block_size'), '4096');
    assert.equal(attribute(disk, 'queue/physical_block_size'), '4096');
    assert.equal(attribute(disk, 'queue/max_segments'), '62');
    assert.equal(attribute(disk, 'serial'), '12345678901234567890');
    await sh(`mkfs.ext4 -q ${disk}`);
    await sh(`fsck.ext4 -fn ${disk}`);
  });

  test('null: reads zeros and discards what is written', async (context) => {
    const { disk } = await blockDevice(context, { name: 'null0', backend: { type: 'null', size: 16 * MIB } });
    await bash(`dd if=/dev/urandom of=${disk} bs=1M oflag=direct status=none count=16`);
    assert.equal(await checksum(disk), await checksum('/dev/zero', 16 * MIB));
  });

  test('created, used and deleted without a trace, repeatedly', async () => {
    const before = readdirSync('/dev/vduse');
    for (let round = 0; round < 5; round++) {
      const { server } = await serveBlockDevice({ name: 'again', backend: { type: 'ram' } });
      await attach('again');
      const disk = await diskOf('again');
      await sh(`mkfs.ext4 -q ${disk}`);
      await detach('again');
      assert.equal(existsSync(disk), false);
      await server.stop();
      assert.equal(server.state, 'stopped');
      assert.deepEqual(readdirSync('/dev/vduse'), before);
    }
  });

  test('remains for another server to take over if it is kept', async () => {
    const path = await makeFile('/tmp/kept', 16);
    const options = { name: 'kept', backend: { type: 'file', path } } as const;
    const { server: first } = await serveBlockDevice(options);
    await attach('kept');
    const disk = await diskOf('kept');
    const sum = await checksum(disk);
    const writing = sh(`dd if=/dev/urandom of=${disk} bs=1M count=16 oflag=direct conv=fsync`);
    await first.stop({ keep: true });
    const { server: second } = await serveBlockDevice({ ...options, takeOver: true });
    await writing;
    assert.notEqual(await checksum(disk), sum);
    await bash('echo 3 > /proc/sys/vm/drop_caches');
    assert.equal(await checksum(disk), await checksum(path));
    await detach('kept');
    await second.stop();
    assert.equal(existsSync('/dev/vduse/kept'), false);
  });
});

describe('a VDUSE block device that is invalid', () => {
  const nothingLeft = (): void => {
    assert.deepEqual(readdirSync('/dev/vduse'), ['control']);
    assert.deepEqual(
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').includes('vduse');
        } catch {
          return false;
        }
      }),
      [],
    );
  };

  for (const [what, options, message] of [
    ['its file is missing', { backend: { type: 'file', path: '/tmp/nosuch' } }, /open \/tmp\/nosuch: No such file/],
    ['its file is a folder', { backend: { type: 'file', path: '/tmp' } }, /\/tmp: Is a directory/],
    ['its size is not a multiple of the block size', { backend: { type: 'ram', size: 1000 } }, /multiple of .* 512/],
    ['its size is zero', { backend: { type: 'ram', size: 0 } }, /Invalid size: 0 bytes/],
    ['its name is too long', { name: 'n'.repeat(256) }, /256 bytes/],
    ['its name is a path', { name: '../x' }, /not allowed in a file name/],
    ['its name is taken by the control node', { name: 'control' }, /is reserved/],
    ['it has no queue', { queues: 0 }, /expected 1 to 256/],
    ['its queue size is odd', { queueSize: 100 }, /power of two/],
  ] as const) {
    test(`${what}: reported, and nothing left behind`, async () => {
      await assert.rejects(serveBlockDevice({ name: 'never', backend: { type: 'ram' }, ...options }), message);
      nothingLeft();
    });
  }

  test('its name is taken', async () => {
    const { server: first } = await serveBlockDevice({ name: 'taken', backend: { type: 'ram' } });
    await assert.rejects(
      serveBlockDevice({ name: 'taken', backend: { type: 'ram' } }),
      /create the VDUSE instance taken: File exists/,
    );
    await assert.rejects(
      serveBlockDevice({ name: 'taken', backend: { type: 'ram' }, takeOver: true }),
      /Device or resource busy.*It is served by another program/,
    );
    await first.stop();
    nothingLeft();
  });

  test('it is stopped twice at the same time, and once more', async () => {
    const { server } = await serveBlockDevice({ name: 'twice', backend: { type: 'ram' } });
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    nothingLeft();
  });

  test('its file is in use by another', async () => {
    const path = await makeFile('/tmp/shared', 1);
    const { server: first } = await serveBlockDevice({ name: 'one', backend: { type: 'file', path } });
    await assert.rejects(
      serveBlockDevice({ name: 'two', backend: { type: 'file', path } }),
      /in use by another program/,
    );
    await first.stop();
    nothingLeft();
  });

  test('its data plane cannot be created', async () => {
    await assert.rejects(
      serveBlockDevice({ name: 'never', backend: { type: 'module', module: 'file:///nosuch.js', size: MIB } }),
      /nosuch\.js/,
    );
    nothingLeft();
  });
});
