import '../support/kernel/lab/inside.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT } from '../../src/virtio/split-ring.js';
import {
  setUpTarget,
  borrow,
  BUFFER,
  driver,
  ELSEWHERE,
  HEADER,
  isBroken,
  MIB,
  NOWHERE,
  server,
} from '../support/kernel/drivers/hostile-target.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { BASE, DATA, DRIVER_OK } from '../../src/vhost/driver.js';
import { until } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

setUpTarget();

describe('a driver that breaks a ring', () => {
  test('descriptor index out of range, in the available ring', async () => {
    driver.offer(64);
    await isBroken(/descriptor index 64 out of range in a queue of 64/);
  });

  test('descriptor index out of range, in a chain', async () => {
    driver.splitRing().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 65535);
    driver.offer(0);
    await isBroken(/descriptor index 65535 out of range in a table of 64/);
  });

  test('chain that loops', async () => {
    driver.splitRing().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 1);
    driver.splitRing().descriptor(1, DATA, 16, VRING_DESC_F_NEXT, 0);
    driver.offer(0);
    await isBroken(/chain with a loop/);
  });

  test('chain that is its own next', async () => {
    driver.splitRing().descriptor(5, DATA, 16, VRING_DESC_F_NEXT, 5);
    driver.offer(5);
    await isBroken(/chain with a loop/);
  });

  test('chain longer than the queue', async () => {
    driver.start({ queueSize: 32 });
    const buffers = Array.from({ length: 65 }, () => ({ iova: DATA, length: 16 }));
    driver.offer(driver.ring().indirectChain(buffers, driver.indirectTable()));
    await isBroken(/indirect table length: 1040 bytes/);
  });

  test('indirect table that loops', async () => {
    const table = driver.indirectTable();
    driver.splitRing().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 1, table);
    driver.splitRing().descriptor(1, DATA, 16, VRING_DESC_F_NEXT, 0, table);
    driver.splitRing().descriptor(0, table, 32, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/chain with a loop/);
  });

  test('indirect inside indirect', async () => {
    const table = driver.indirectTable();
    driver.splitRing().descriptor(0, table, 16, VRING_DESC_F_INDIRECT, 0, table);
    driver.splitRing().descriptor(0, table, 16, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/nested indirect descriptor/);
  });

  test('indirect table of odd length', async () => {
    driver.splitRing().descriptor(0, driver.indirectTable(), 17, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table length: 17 bytes/);
  });

  test('indirect table of zero length', async () => {
    driver.splitRing().descriptor(0, driver.indirectTable(), 0, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table length: 0 bytes/);
  });

  test('indirect table of 4 GiB', async () => {
    driver.splitRing().descriptor(0, driver.indirectTable(), 0xfffffff0, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table length: 4294967280 bytes/);
  });

  test('indirect table in unmapped memory', async () => {
    driver.splitRing().descriptor(0, NOWHERE, 32, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/in unmapped memory/);
  });

  test('indirect table that was not negotiated', async () => {
    driver.start({ queueSize: 64, features: (offered) => offered & ~(3n << 28n) });
    driver.offer(driver.ring().indirectChain([{ iova: DATA, length: 16 }], driver.indirectTable()));
    await isBroken(/without RING_INDIRECT_DESC/);
  });

  test('indirect descriptor that has a next one', async () => {
    driver.splitRing().descriptor(0, driver.indirectTable(), 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
    driver.offer(0);
    await isBroken(/with VIRTQ_DESC_F_NEXT/);
  });

  test('readable buffer after a writable one', async () => {
    const head = driver.ring().chain([
      { iova: BUFFER, length: 512, writable: true },
      { iova: HEADER, length: 16 },
    ]);
    driver.offer(head);
    await isBroken(/device-readable buffer after/);
  });

  test('available index more than the queue size ahead', async () => {
    driver.splitRing().setAvailableIndex(65);
    driver.kick();
    await isBroken(/65 entries ahead in a queue of 64/);
  });

  test('available index that goes back', async () => {
    driver.checkService(4);
    driver.splitRing().setAvailableIndex(driver.splitRing().availableIndex - 1);
    driver.kick();
    await isBroken(/65535 entries ahead in a queue of 64/);
  });

  test('truncated memory of a ring', async () => {
    const memory = borrow(MIB);
    driver.prepare();
    driver.vhost.map(ELSEWHERE, MIB, memory.address);
    const { descriptorArea, driverArea, deviceArea } = driver.ring();
    const moved = (place: number): number => place - BASE + ELSEWHERE;
    driver.vhost.setQueueAddress(0, moved(descriptorArea), moved(driverArea), moved(deviceArea));
    driver.vhost.status = DRIVER_OK;
    await until('the queue runs', async () => (await server.device('target')).queues[0]?.state === 'running');
    memory.truncate(0);
    driver.kick();
    await isBroken(/memory .* was truncated/);
  });
});
