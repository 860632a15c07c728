import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import * as blk from '../../src/virtio/block.js';
import type { CacheMode } from '../../src/vduse/spec/fields.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { STUCK_SECTOR } from '../support/kernel/servers/stuck-backend.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { BASE, DATA, MEMORY_BYTES } from '../../src/vhost/driver.js';
import { attach, bash, detach, giveToVhost, mountPoint, until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
/** The kernel abandons a device whose server does not answer a message for this long. */
const KERNEL_PATIENCE_MS = 30_000;

test('a backend stuck in I/O delays no control message, and accesses no revoked memory', async () => {
  const pipe = '/tmp/stuck';
  await bash(`mkfifo ${pipe}`);
  const module = new URL('../support/kernel/servers/stuck-backend.js', import.meta.url).href;
  const server = await ServerProcess.start({
    name: 'stuck',
    backend: { type: 'module', module, options: pipe, size: MIB },
  });
  await attach('stuck');
  const driver = new VhostBlock(await giveToVhost('stuck'));
  driver.start();
  assert.equal(driver.request(blk.VIRTIO_BLK_T_IN, 8, 512), blk.VIRTIO_BLK_S_OK);

  const getStuck = (): void => {
    const buffer = { iova: DATA + 0x1000, length: 512, writable: true };
    const buffers = [driver.header(DATA, blk.VIRTIO_BLK_T_IN, STUCK_SECTOR), buffer, driver.statusByte(DATA + 0x100)];
    driver.offer(driver.ring().chain(buffers));
    assert.equal(driver.used(0, 100), undefined);
  };
  const took = (work: () => void): number => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };

  getStuck();
  assert.equal((await server.device('stuck')).state, 'running', 'the server reports its status the whole time');
  // Memory is unmapped and the device is reset and restarted, all while the thread hangs.
  const first = took(() => {
    driver.vhost.unmap(BASE, MEMORY_BYTES);
  });
  const second = took(() => {
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
    driver.start();
  });
  assert.ok(first < KERNEL_PATIENCE_MS / 2, `the first message took ${first} ms`);
  assert.ok(second < 8000, `those after it took ${second} ms`);

  // The disk finally answers. Data requested before the reset must not reach the driver now.
  const before = driver.memory.u8.slice();
  writeFileSync(pipe, 'x');
  assert.equal(driver.used(0, 300), undefined);
  assert.deepEqual(driver.memory.u8, before);
  assert.equal(driver.request(blk.VIRTIO_BLK_T_IN, 8, 512), blk.VIRTIO_BLK_S_OK);

  // The device is deleted while it is stuck again.
  getStuck();
  driver.close();
  const deleting = performance.now();
  await detach('stuck');
  assert.ok(performance.now() - deleting < KERNEL_PATIENCE_MS / 2);
  writeFileSync(pipe, 'x');
  await server.stop();
});

const BEFORE = 0x4f;
const WRITTEN = 0x4e;

interface Frozen {
  readonly folder: string;
  readonly server: ServerProcess;
  readonly driver: VhostBlock;
  readonly thaw: () => Promise<void>;
  /** Checks what the disk has in the place of the write. */
  readonly checkDisk: () => void;
}

/** A device in a file whose file system is frozen, and a write that is blocked in it. */
async function blockedWrite(context: TestContext, cache: CacheMode): Promise<Frozen> {
  const folder = mountPoint('frozen');
  const loop = (
    await bash(`truncate -s 32M /tmp/frozen.img; mkfs.ext4 -q -F /tmp/frozen.img; losetup -f --show /tmp/frozen.img`)
  ).trim();
  const thaw = async (): Promise<void> => {
    await bash(`fsfreeze -u ${folder} 2>/dev/null || true`);
  };
  context.after(async () => {
    await thaw();
    await bash(`umount ${folder}; losetup -d ${loop}; rm /tmp/frozen.img`);
  });
  await bash(`mount -t ext4 ${loop} ${folder}`);
  const path = `${folder}/disk.img`;
  writeFileSync(path, new Uint8Array(MIB).fill(BEFORE));
  await bash('sync');
  const server = await ServerProcess.start({ name: 'frozen', backend: { type: 'file', path, cache } });
  await attach('frozen');
  const driver = new VhostBlock(await giveToVhost('frozen'));
  driver.start();
  assert.equal(driver.request(blk.VIRTIO_BLK_T_OUT, 8, new Uint8Array(4096).fill(WRITTEN)), blk.VIRTIO_BLK_S_OK);

  await bash(`fsfreeze -f ${folder}`);
  driver.memory.u8.fill(WRITTEN, driver.at(DATA + 0x1000), driver.at(DATA + 0x1000) + 4096);
  const header = driver.header(DATA, blk.VIRTIO_BLK_T_OUT, 64);
  driver.offer(driver.ring().chain([header, { iova: DATA + 0x1000, length: 4096 }, driver.statusByte(DATA + 0x100)]));
  assert.equal(driver.used(0, 500), undefined);
  const checkDisk = (): void => {
    const bytes = readFileSync(path).subarray(64 * 512, 64 * 512 + 4096);
    const found = [...new Set(bytes)];
    assert.ok(
      found.every((byte) => byte === BEFORE || byte === WRITTEN),
      `on the disk: ${found.join(', ')}`,
    );
  };
  return { folder, server, driver, thaw, checkDisk };
}

test('a write blocked in the file system during a reset of the guest: old or new data on the disk, never zeros', async (context) => {
  const { server, driver, thaw, checkDisk } = await blockedWrite(context, 'writeback');
  driver.vhost.status = 0;
  assert.equal(driver.vhost.status, 0);
  await thaw();
  // When the device serves again, the write has finished.
  driver.start();
  driver.checkService(1);
  checkDisk();
  driver.close();
  await detach('frozen');
  await server.stop();
});

test('the same past the page cache: the disk may still read the memory, so the reset is not answered', async (context) => {
  const { server, driver, thaw, checkDisk } = await blockedWrite(context, 'none');
  // Longer than the server waits before it does anything.
  writeFileSync('/sys/class/vduse/frozen/msg_timeout', '15');
  assert.equal((await server.device('frozen')).state, 'running');
  assert.throws(
    () => {
      driver.vhost.status = 0;
    },
    { code: 'EIO' },
  );
  await until('the server knows', async () => (await server.device('frozen')).state === 'broken');
  await thaw();
  await until('the write has ended', async () => (await server.device('frozen')).stalledSeconds === undefined);
  checkDisk();
  driver.close();
  await detach('frozen');
  await server.stop();
});

test('the same past the page cache, until the kernel would give up: the reset is answered when the disk is done', async (context) => {
  const { folder, server, driver, checkDisk } = await blockedWrite(context, 'none');
  // The request blocks this thread: another process ends the wait.
  const thawed = bash(`sleep 12; fsfreeze -u ${folder}`);
  const begin = performance.now();
  driver.vhost.status = 0;
  const took = performance.now() - begin;
  assert.ok(took > 9000 && took < KERNEL_PATIENCE_MS, `it took ${took} ms`);
  await thawed;
  driver.start();
  driver.checkService(1);
  checkDisk();
  driver.close();
  await detach('frozen');
  await server.stop();
});
