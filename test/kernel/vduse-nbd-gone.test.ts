import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as blk from '../../src/virtio/block.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { BASE, DATA, MEMORY_BYTES } from '../../src/vhost/driver.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { addDisk, newDiskFile, onNbdkit } from '../support/kernel/servers/nbdkit.js';
import { errorsOf, show } from '../support/kernel/servers/shown.js';
import { bash, giveToVhost, sh, start, until, type Ran } from '../support/kernel/servers/vduse.js';
import { newPath, startNbdkit } from '../support/nbd-server.js';

const { describe, test } = testsWith(VDUSE, 'nbdkit');

const VDPA = '/run/bin/vdpa';

const readBlock = (disk: string): Promise<Ran> =>
  start('dd', `if=${disk}`, 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct');

const inFlight = (disk: string): boolean =>
  readFileSync(`/sys/class/block/${disk.slice('/dev/'.length)}/inflight`, 'utf8').trim() !== '0        0';

describe('an NBD server that is gone', () => {
  test('is noticed, and shown; requests wait, and go on when it is back', async (context) => {
    const { server, disk } = await onNbdkit(context, 'nbd0', 'reconnect', '120');
    await server.kill();
    await until('it is noticed', async () => (await show('nbd0')).connection === 'reconnecting');
    assert.match((await show('nbd0')).connection_error ?? '', /^connect to |has ended|was reset/);
    const reader = readBlock(disk);
    await until('a request waits', () => inFlight(disk));
    await server.start();
    assert.equal((await reader).status, 0);
    assert.equal((await show('nbd0')).connection, 'connected');
    assert.equal(await errorsOf('nbd0'), 0);
    await sh(`${VDPA} dev del nbd0`);
  });

  test('control answers while a request waits: show, the IOTLB, a reset, the deletion', async (context) => {
    const { server } = await onNbdkit(context, 'nbd0', 'reconnect', '600');
    const driver = new VhostBlock(await giveToVhost('nbd0'));
    driver.start();
    driver.checkService(1);
    const request = (): void => {
      const buffer = { iova: DATA + 0x1000, length: 512, writable: true };
      driver.offer(
        driver.ring().chain([driver.header(DATA, blk.VIRTIO_BLK_T_IN, 0), buffer, driver.statusByte(DATA + 0x100)]),
      );
      assert.equal(driver.used(0, 100), undefined);
    };
    const took = async (work: () => unknown): Promise<number> => {
      const begun = performance.now();
      await work();
      return performance.now() - begun;
    };
    await server.kill();
    await until('it is noticed', async () => (await show('nbd0')).connection === 'reconnecting');
    request();
    assert.equal((await show('nbd0')).state, 'running');
    const unmapping = await took(() => {
      driver.vhost.unmap(BASE, MEMORY_BYTES);
    });
    const resetting = await took(() => {
      driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
      driver.start();
    });
    assert.ok(unmapping < 15_000 && resetting < 8000, `${unmapping} ms, ${resetting} ms`);
    await server.start();
    await until('it is back', async () => (await show('nbd0')).connection === 'connected');
    driver.checkService(2);
    // What was requested before the reset has left no trace.
    assert.equal(driver.used(0, 100), undefined);
    await server.kill();
    await until('it is noticed again', async () => (await show('nbd0')).connection === 'reconnecting');
    request();
    driver.close();
    assert.ok((await took(() => sh(`${VDPA} dev del nbd0`))) < 15_000);
  });

  test('after the time for it, requests fail, and are counted; when it is back, they work', async (context) => {
    const { server, disk } = await onNbdkit(context, 'nbd0', 'reconnect', '1');
    await server.kill();
    const { status, stderr } = await readBlock(disk);
    assert.notEqual(status, 0);
    assert.match(stderr, /Input\/output error/);
    assert.equal((await show('nbd0')).connection, 'failed');
    assert.match((await show('nbd0')).connection_error ?? '', /^connect to /);
    assert.ok((await errorsOf('nbd0')) > 0);
    await server.start();
    await until('it is back', async () => (await show('nbd0')).connection === 'connected');
    assert.equal((await readBlock(disk)).status, 0);
    await sh(`${VDPA} dev del nbd0`);
  });

  test('a disk in use is deleted: that waits for its requests, as long as they wait for the server', async (context) => {
    const { server, disk } = await onNbdkit(context, 'nbd0', 'reconnect', '5');
    await server.kill();
    const reader = readBlock(disk);
    await until('a request waits', () => inFlight(disk));
    const { status, stderr } = await start(VDPA, 'dev', 'del', 'nbd0', 'force');
    assert.equal(status, 0, stderr);
    assert.notEqual((await reader).status, 0);
  });

  test('none at the start: the error says so, and nothing is left', async () => {
    const add = ['dev', 'add', 'mgmtdev', 'vduse', 'name', 'nbd0', 'uri', 'nbd://127.0.0.1:1/x'];
    const { status, stderr } = await start(VDPA, ...add);
    assert.equal(status, 1);
    assert.match(stderr, /connect to 127\.0\.0\.1:1: Connection refused/);
    assert.equal(await bash('ls /dev/vduse'), 'control\n');
  });
});

test('an NBD server that answers with errors: they reach the driver, and are counted; it goes on', async (context) => {
  const trigger = newPath('trigger');
  const server = await startNbdkit(
    ...['--filter=error', 'file', newDiskFile(), 'error=EIO', 'error-rate=100%', `error-file=${trigger}`],
  );
  context.after(() => server.kill());
  const disk = await addDisk(context, 'nbd0', server.uri);
  assert.equal((await readBlock(disk)).status, 0);
  writeFileSync(trigger, '');
  assert.match((await readBlock(disk)).stderr, /Input\/output error/);
  assert.equal(await errorsOf('nbd0'), 1);
  assert.equal((await show('nbd0')).connection, 'connected');
  rmSync(trigger);
  assert.equal((await readBlock(disk)).status, 0);
  await sh(`${VDPA} dev del nbd0`);
});
