import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { mapAnonymous, unmap } from '../../src/sys/memory.js';
import * as blk from '../../src/virtio/block.js';
import { blockConfigOffset } from '../../src/virtio/config-space.js';
import type { BlockDeviceOptions } from '../../src/vduse/block/device.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, bash, detach, giveToVhost, until } from '../support/kernel/servers/vduse.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { BASE, MEMORY_BYTES, type DriverOptions } from '../../src/vhost/driver.js';
import { DriverMemory } from '../../src/vhost/memory.js';

const { describe, test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_T_GET_ID: GET_ID, VIRTIO_BLK_S_OK: OK } = blk;
/** VERSION_1 and ACCESS_PLATFORM: no VDUSE device works without these. */
const NEEDED = (1n << 32n) | (1n << 33n);

/** What a test works with, and how it is cleaned up. */
interface Attached {
  readonly server: ServerProcess;
  readonly node: string;
  /** Opens the node; it is closed when the test ends. */
  readonly open: (options?: DriverOptions) => VhostBlock;
}

/** Serves a device in its own process, and binds it to vhost-vdpa. */
async function attached(context: TestContext, options: Partial<BlockDeviceOptions> = {}): Promise<Attached> {
  const server = await ServerProcess.start({ name: 'vhost0', backend: { type: 'ram' }, ...options });
  const drivers: VhostBlock[] = [];
  context.after(async () => {
    for (const driver of drivers) driver.close();
    await detach('vhost0');
    await server.stop();
  });
  await attach('vhost0');
  const node = await giveToVhost('vhost0');
  const open = (driverOptions?: DriverOptions): VhostBlock => {
    const driver = new VhostBlock(node, driverOptions);
    drivers.push(driver);
    return driver;
  };
  return { server, node, open };
}

describe('a VDUSE device through vhost-vdpa', () => {
  test('opens, negotiates, reads and writes on every queue', async (context) => {
    const { server, open } = await attached(context, { queues: 4, threads: 2, serial: 'number 5' });
    const driver = open({ queues: 4, features: (offered) => offered });
    driver.start();
    // The first user of a disk is this machine, which probes for partitions, on the queue of whichever processor does it.
    const before = (await server.device('vhost0')).queues;
    const capacity = driver.vhost.config(blockConfigOffset.capacity, 8);
    assert.equal(new DataView(capacity.buffer, capacity.byteOffset).getBigUint64(0, true), BigInt((64 * MIB) / 512));
    for (let queue = 0; queue < 4; queue++) {
      const data = new Uint8Array(8192).fill(queue + 1);
      assert.equal(driver.request(OUT, queue * 16, data, queue), OK);
      assert.equal(driver.request(IN, queue * 16, 8192, queue), OK);
      assert.deepEqual(driver.data(8192), data);
    }
    assert.equal(driver.request(blk.VIRTIO_BLK_T_FLUSH, 0), OK);
    assert.equal(driver.request(GET_ID, 0, 20), OK);
    assert.equal(Buffer.from(driver.data(20)).toString(), 'number 5'.padEnd(20, '\0'));
    const { queues, state } = await server.device('vhost0');
    assert.equal(state, 'running');
    assert.deepEqual(
      queues.map(({ requests, bytesIn, bytesOut, errors }) => [requests, bytesIn, bytesOut, errors]),
      [
        [4, 8192 + 20, 8192, 0],
        [2, 8192, 8192, 0],
        [2, 8192, 8192, 0],
        [2, 8192, 8192, 0],
      ].map(([requests = 0, bytesIn = 0, ...rest], queue) => [
        requests + (before[queue]?.requests ?? 0),
        bytesIn + (before[queue]?.bytesIn ?? 0),
        ...rest,
      ]),
    );
  });

  test('opened, reset and closed twenty times', async (context) => {
    const { node } = await attached(context);
    for (let round = 0; round < 20; round++) {
      const driver = new VhostBlock(node);
      driver.start();
      assert.equal(driver.request(IN, 0, 4096), OK);
      driver.start();
      assert.equal(driver.request(IN, 0, 4096), OK);
      driver.close();
    }
  });

  test('rejects features that it did not offer, and a driver without the required ones', async (context) => {
    const { open } = await attached(context);
    const { vhost } = open();
    const agrees = (features: bigint): boolean => {
      vhost.status = 0;
      vhost.status = 3;
      vhost.setFeatures(features);
      vhost.status = 11;
      return vhost.status === 11;
    };
    const offered = vhost.features();
    assert.equal(agrees(offered), true);
    assert.equal(agrees(offered | (1n << blk.VIRTIO_BLK_F_RO)), false);
    assert.equal(agrees(offered & ~(1n << 32n)), false);
    assert.equal(agrees(offered & ~(1n << 33n)), false);
    assert.equal(agrees(NEEDED), true);
  });

  test('without event index, indirect tables and flush', async (context) => {
    await bash('truncate -s 1M /tmp/through');
    const { open } = await attached(context, { backend: { type: 'file', path: '/tmp/through' } });
    const driver = open({ features: () => NEEDED });
    driver.start();
    assert.equal(driver.request(OUT, 3, new Uint8Array(512).fill(0x61)), OK);
    assert.equal(await bash('dd if=/tmp/through bs=512 skip=3 count=1 status=none | tr -d a | wc -c'), '0\n');
  });

  test('memory that moves while the device runs: the old mapping is no longer used', async (context) => {
    const { open } = await attached(context);
    const driver = open();
    driver.start();
    // The same rings and buffers at the same IOVAs, backed by other memory.
    const away = new DriverMemory(MEMORY_BYTES);
    context.after(() => {
      away.free();
    });
    for (let round = 0; round < 10; round++) {
      assert.equal(driver.request(OUT, round, new Uint8Array(512).fill(round)), OK);
      driver.vhost.unmap(BASE, MEMORY_BYTES);
      away.u8.set(driver.memory.u8);
      driver.memory.u8.fill(0xee);
      driver.vhost.map(BASE, MEMORY_BYTES, away.address);
      // What the device does now must appear in the other memory, and not here.
      const view = new DataView(away.buffer);
      const { driverArea, deviceArea, size, availableIndex } = driver.splitRing();
      view.setUint16(driver.at(driverArea) + 4 + (availableIndex % size) * 2, 0, true);
      const used = view.getUint16(driver.at(deviceArea) + 2, true);
      view.setUint16(driver.at(driverArea) + 2, (availableIndex + 1) & 0xffff, true);
      driver.kick();
      for (const end = performance.now() + 5000; view.getUint16(driver.at(deviceArea) + 2, true) === used;) {
        assert.ok(performance.now() < end, 'nothing is completed in the new memory');
        driver.clearCall(0, 10);
      }
      assert.ok(driver.memory.u8.every((byte) => byte === 0xee));
      // And back again.
      driver.vhost.unmap(BASE, MEMORY_BYTES);
      driver.memory.u8.set(away.u8);
      driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
      driver.splitRing().availableIndex = (availableIndex + 1) & 0xffff;
      assert.ok(driver.used());
      assert.equal(driver.request(IN, round, 512), OK);
      assert.deepEqual(driver.data(512), new Uint8Array(512).fill(round));
    }
  });

  test('driver memory that is not shared: the queue is reported as unmapped until it is shared', async (context) => {
    const { server, open } = await attached(context);
    const driver = open();
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    // The kernel accepts it without an error, but maps nothing for the device.
    const own = mapAnonymous('memory that is not shared', MEMORY_BYTES);
    context.after(() => {
      unmap('memory that is not shared', own, MEMORY_BYTES);
    });
    driver.vhost.map(BASE, MEMORY_BYTES, own);
    driver.start();
    driver.kick();
    await until('it is reported', async () => (await server.device('vhost0')).queues[0]?.state === 'unmapped');
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
    driver.start();
    driver.checkService(3);
  });

  test('suspends, and reports its position', async (context) => {
    const { server, open } = await attached(context);
    const driver = open();
    driver.start();
    for (let count = 0; count < 5; count++) driver.request(IN, 0, 512);
    driver.vhost.suspend();
    assert.equal(driver.vhost.queueBase(0), 5);
    assert.equal((await server.device('vhost0')).state, 'suspended');
    driver.offer(0);
    assert.equal(driver.used(0, 200), undefined);
    driver.start();
    assert.equal(driver.request(IN, 0, 512), OK);
  });

  test('a queue that is enabled late, and one that is disabled', async (context) => {
    const { open } = await attached(context, { queues: 2 });
    const driver = open({ queues: 2 });
    driver.prepare();
    driver.vhost.enable(1, false);
    driver.vhost.status = 15;
    assert.equal(driver.request(IN, 0, 512, 0), OK);
    driver.vhost.enable(1, true);
    assert.equal(driver.request(IN, 0, 512, 1), OK);
    driver.vhost.enable(1, false);
    driver.offer(0, 1);
    assert.equal(driver.used(1, 200), undefined);
    assert.equal(driver.request(IN, 0, 512, 0), OK);
    driver.vhost.enable(1, true);
    assert.ok(driver.used(1), 'what was offered meanwhile is not lost');
  });

  test('a driver that continues where another one stopped', async (context) => {
    const { open } = await attached(context);
    const driver = open();
    driver.start();
    for (let count = 0; count < 5; count++) driver.request(IN, 0, 512);
    driver.vhost.suspend();
    const position = driver.vhost.queueBase(0);
    const ring = driver.splitRing();
    driver.prepare();
    ring.setAvailableIndex(position);
    ring.usedIndex = position;
    driver.rings = [ring];
    driver.vhost.setQueueBase(0, position);
    driver.vhost.status = 15;
    assert.equal(driver.request(IN, 0, 512), OK);
  });

  test('queue state: 0 is an index like any other if the used index is 0 again', async (context) => {
    const { open } = await attached(context);
    const driver = open();
    for (const begin of [65533, 65531]) {
      driver.prepare();
      goOnAt(driver, begin);
      for (let count = begin; count < 65536; count++) assert.equal(driver.request(IN, 0, 512), OK);
      driver.vhost.suspend();
      assert.equal(driver.vhost.queueBase(0), 0);
    }
  });

  test('queue state: after a reset it is what the driver set, not what the device had before', async (context) => {
    const { open } = await attached(context);
    const driver = open();
    driver.start();
    for (let count = 0; count < 5; count++) driver.request(IN, 0, 512);
    driver.prepare();
    assert.equal(driver.vhost.queueBase(0), 0);
    driver.vhost.setQueueBase(0, 7);
    assert.equal(driver.vhost.queueBase(0), 7);
  });

  test('queue state: an error, not 0, if the next server cannot read the ring that contains it', async () => {
    const device = { name: 'vhost1', backend: { type: 'null' } } as const;
    const server = await ServerProcess.start(device);
    await attach('vhost1');
    const driver = new VhostBlock(await giveToVhost('vhost1'));
    driver.start();
    for (let count = 0; count < 5; count++) driver.request(IN, 0, 512);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    await server.kill();
    const next = await ServerProcess.start({ ...device, takeOver: true });
    assert.throws(() => driver.vhost.queueBase(0), /EIO/);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
    assert.equal(driver.request(IN, 0, 512), OK);
    assert.equal(driver.vhost.queueBase(0), 6);
    driver.close();
    await detach('vhost1');
    await next.stop();
  });

  test('queue state: a queue that is disabled and enabled again continues where it was', async (context) => {
    const { open } = await attached(context, { queues: 2 });
    const driver = open({ queues: 2 });
    driver.start();
    for (let count = 0; count < 5; count++) assert.equal(driver.request(IN, 0, 512, 1), OK);
    driver.vhost.enable(1, false);
    assert.equal(driver.vhost.queueBase(1), 5);
    driver.vhost.enable(1, true);
    assert.equal(driver.request(IN, 0, 512, 1), OK);
    assert.equal(driver.used(1, 200), undefined, 'a request was executed twice');
  });
});

/** Makes a prepared driver continue at an index, as after a migration. */
function goOnAt(driver: VhostBlock, index: number): void {
  const ring = driver.splitRing();
  ring.setAvailableIndex(index);
  ring.usedIndex = index;
  ring.seenUsed = index;
  driver.vhost.setQueueBase(0, index);
  driver.vhost.status = 15;
}
