import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import * as blk from '../../src/virtio/block.js';
import {
  setUpTarget,
  borrow,
  BUFFER,
  driver,
  ELSEWHERE,
  form,
  HEADER,
  isBroken,
  MIB,
  NOWHERE,
  server,
  STATUS,
} from '../support/kernel/drivers/hostile-target.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { UNTOUCHED } from '../support/kernel/drivers/vhost-block.js';
import { BASE, DRIVER_OK, MEMORY_BYTES } from '../../src/vhost/driver.js';
import { VHOST_ACCESS_RO, VHOST_ACCESS_WO } from '../../src/vhost/uapi.js';
import { until } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

const PAGE = 4096;
/** Tests that look into the rings of a split queue. */
const skip = form.packed && 'it is about a split queue';

const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_S_OK: OK } = blk;

setUpTarget();

describe('a driver that changes things in use', () => {
  test('ring moved while in use: served at its new place', { skip }, () => {
    driver.checkService(8);
    const memory = borrow(MEMORY_BYTES);
    memory.u8.set(driver.memory.u8);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, memory.address);
    const ring = driver.splitRing();
    const head = ring.chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]);
    ring.offer(head);
    memory.u8.set(driver.memory.u8);
    driver.kick();
    const usedIndex = new Uint16Array(memory.buffer);
    const end = performance.now() + 5000;
    while (Atomics.load(usedIndex, (ring.deviceArea - BASE + 2) / 2) !== ring.availableIndex) {
      assert.ok(performance.now() < end, 'the request was not completed');
    }
    assert.equal(memory.u8[driver.at(STATUS)], OK);
    assert.equal(driver.memory.u8[driver.at(STATUS)], UNTOUCHED);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
  });

  test('ring whose memory is unmapped while in use: pauses until it is mapped again', async () => {
    driver.checkService(9);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.kick();
    await until('the queue has no memory', async () => (await server.device('target')).queues[0]?.state === 'unmapped');
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
    driver.checkService(10);
  });

  test('used ring in read-only memory: not served', () => {
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address, VHOST_ACCESS_RO);
    driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]));
    assert.equal(driver.used(0, 50), undefined);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
    assert.ok(driver.used());
  });

  test('used ring in write-only memory: served', { skip }, () => {
    const memory = borrow(MIB);
    driver.prepare();
    driver.vhost.map(ELSEWHERE, MIB, memory.address, VHOST_ACCESS_WO);
    const { descriptorArea, driverArea } = driver.ring();
    driver.vhost.setQueueAddress(0, descriptorArea, driverArea, ELSEWHERE);
    driver.vhost.status = DRIVER_OK;
    driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]));
    const words = new Uint16Array(memory.buffer);
    const end = performance.now() + 5000;
    while (Atomics.load(words, 1) !== 1) assert.ok(performance.now() < end, 'the request was not completed');
  });

  test('rings at invalid addresses: not served', () => {
    for (const [descriptors, available, used] of [
      [BASE + 8, BASE + 0x1000, BASE + 0x2000],
      [NOWHERE, BASE + 0x1000, BASE + 0x2000],
      [BASE, NOWHERE, BASE + 0x2000],
      [BASE, BASE + 0x1000, NOWHERE],
      [BASE + MEMORY_BYTES - 16, BASE + 0x1000, BASE + 0x2000],
      [2n ** 64n - 16n, BASE + 0x1000, BASE + 0x2000],
      [BASE, 2n ** 63n, BASE + 0x2000],
    ] as const) {
      driver.prepare();
      driver.vhost.setQueueAddress(0, descriptors, available, used);
      driver.vhost.status = DRIVER_OK;
      driver.kick();
      driver.checkService(11, 1);
    }
  });

  test('overlapping rings: the server survives', { skip }, () => {
    driver.prepare();
    driver.vhost.setQueueAddress(0, BASE, BASE, BASE);
    driver.vhost.status = DRIVER_OK;
    driver.splitRing().setAvailableIndex(3);
    driver.kick();
    driver.used(0, 50);
    driver.checkService(12, 1);
  });

  test('both queues in the same memory: the server lives', () => {
    driver.prepare();
    const { descriptorArea, driverArea, deviceArea } = driver.ring();
    driver.vhost.setQueueAddress(1, descriptorArea, driverArea, deviceArea);
    driver.vhost.status = DRIVER_OK;
    for (let round = 0; round < 20; round++) {
      driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]));
      driver.kick(1);
    }
    driver.used(0, 50);
  });

  test('buffer that is the ring itself: the server lives', () => {
    const { descriptorArea, deviceArea } = driver.ring();
    for (const iova of [descriptorArea, deviceArea & ~511]) {
      const head = driver
        .ring()
        .chain([driver.header(HEADER, IN, 0), { iova, length: 512, writable: true }, driver.statusByte(STATUS)]);
      driver.offer(head);
      driver.used(0, 50);
      driver.start();
    }
  });

  test('reset during requests', () => {
    for (let round = 0; round < 30; round++) {
      for (let each = 0; each < 10; each++) {
        const buffer = { iova: BUFFER, length: 256 * 1024, writable: true };
        driver.ring().offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
      }
      driver.kick();
      driver.start();
    }
  });

  test('suspended during requests: does not continue until the reset', () => {
    for (let each = 0; each < 10; each++) {
      const buffer = { iova: BUFFER, length: 256 * 1024, writable: true };
      driver.ring().offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
    }
    driver.kick();
    driver.vhost.suspend();
    const base = driver.vhost.queueBase(0);
    assert.equal(base, driver.ring().base);
    driver.kick();
    driver.used(0, 20);
    assert.equal(driver.ring().base, base);
  });

  test('queue disabled while requests are in progress, and enabled again', () => {
    for (let round = 0; round < 10; round++) {
      for (let each = 0; each < 5; each++) {
        const buffer = { iova: BUFFER, length: 64 * 1024, writable: true };
        driver.ring().offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
      }
      driver.kick();
      driver.vhost.enable(0, false);
      driver.vhost.enable(1, false);
    }
  });
});

describe('a driver that negotiates what does not exist', () => {
  const refuse = (features: (offered: bigint) => bigint): void => {
    driver.vhost.status = 0;
    driver.vhost.status = 3;
    driver.vhost.setFeatures(features(driver.vhost.features()));
    driver.vhost.status = 11;
    assert.equal(driver.vhost.status, 3);
  };

  test('features that were not offered: FEATURES_OK does not stay', () => {
    refuse((offered) => offered | (1n << 35n));
    refuse((offered) => offered | (1n << 40n));
  });

  test('without VERSION_1: FEATURES_OK does not stay', () => {
    refuse((offered) => offered & ~(1n << 32n));
  });

  test('DRIVER_OK without FEATURES_OK: not served', () => {
    driver.vhost.status = 0;
    driver.vhost.status = 7;
    driver.kick();
  });
});

describe('a driver that demands a lot', () => {
  test('two thousand regions, and a request in each: memory stays bounded', async () => {
    const before = (await server.status()).rss;
    const memory = borrow(MIB);
    const regions = 2000;
    for (let region = 0; region < regions; region++) {
      driver.vhost.map(ELSEWHERE + region * MIB, PAGE, memory.address + (region % 256) * PAGE);
    }
    for (let region = 0; region < regions; region++) {
      const buffer = { iova: ELSEWHERE + region * MIB, length: PAGE, writable: true };
      const answer = driver.exchange([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]);
      assert.equal(answer.status, OK);
    }
    const grown = (await server.status()).rss - before;
    assert.ok(grown < 48 * MIB, `grown by ${grown / MIB} MiB`);
  });

  test('a region of 1 GiB without memory: harms only the driver', async () => {
    const huge = 2 ** 30;
    const far = borrow(PAGE, huge);
    driver.vhost.map(ELSEWHERE, huge, far.address);
    const before = (await server.status()).rss;
    for (let round = 0; round < 5; round++) {
      const buffer = { iova: ELSEWHERE + 16 * MIB, length: 32 * MIB, writable: true };
      driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
      assert.ok(driver.used());
      await isBroken(/memory .* was truncated/);
      server.broken.length = 0;
      driver.start();
    }
    const grown = (await server.status()).rss - before;
    assert.ok(grown < 64 * MIB, `grown by ${grown / MIB} MiB`);
  });

  test('a thousand resets: memory stays bounded', async () => {
    const before = (await server.status()).rss;
    for (let round = 0; round < 1000; round++) driver.vhost.status = 0;
    const grown = (await server.status()).rss - before;
    assert.ok(grown < 48 * MIB, `grown by ${grown / MIB} MiB`);
  });
});
