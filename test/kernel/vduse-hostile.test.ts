import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import * as blk from '../../src/virtio/block.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT } from '../../src/virtio/ring.js';
import { VIRTIO_CONFIG_S_NEEDS_RESET } from '../../src/virtio/status.js';
import { ServerProcess } from '../support/kernel/server-process.js';
import { UNTOUCHED, VhostBlock } from '../support/kernel/vhost-block.js';
import { BASE, DATA, DRIVER_OK, MEMORY_BYTES } from '../support/kernel/vhost-driver.js';
import { DriverMemory, VHOST_ACCESS_RO, VHOST_ACCESS_WO } from '../support/kernel/vhost-vdpa.js';
import { attach, bash, detach, diskOf, giveToVhost, until } from '../support/kernel/vduse.js';

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;
const SECTORS = SIZE / blk.SECTOR_SIZE;
const PAGE = 4096;

const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_S_OK: OK } = blk;
const { VIRTIO_BLK_S_IOERR: IOERR, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;

const HEADER = DATA;
const STATUS = DATA + 0x800;
const BUFFER = DATA + 0x1000;
/** An IOVA of another mapping, for what only some cases have. */
const ELSEWHERE = 0x7000_0000;
const NOWHERE = 0x9000_0000;

let server: ServerProcess;
let driver: VhostBlock;
let neighbourDisk: string;
let neighbourSum: string;

const borrowed: DriverMemory[] = [];

/** More memory for the driver, of a case only. It is not mapped for the device. */
function borrow(length: number, mapped = length): DriverMemory {
  const memory = new DriverMemory(length, mapped);
  borrowed.push(memory);
  return memory;
}

const sumOf = (disk: string): Promise<string> =>
  bash(`dd if=${disk} bs=64k count=16 iflag=direct status=none | md5sum`);

before(async () => {
  // Both devices are of one process: what could reach beyond a device would reach the other.
  server = await ServerProcess.start(
    { name: 'target', storage: { backend: 'ram', size: SIZE }, queues: 2, queueSize: 64 },
    { name: 'neighbour', storage: { backend: 'ram', size: 16 * MIB } },
  );
  await attach('target');
  await attach('neighbour');
  driver = new VhostBlock(await giveToVhost('target'), { queues: 2, queueSize: 64 });
  neighbourDisk = await diskOf('neighbour');
  await bash(`dd if=/dev/urandom of=${neighbourDisk} bs=64k count=16 oflag=direct status=none`);
  neighbourSum = await sumOf(neighbourDisk);
});

beforeEach(() => {
  server.broken.length = 0;
  driver.start();
});

/** Whatever the driver has done: the server lives, the device works after a reset, and the other device has not noticed. */
afterEach(async () => {
  assert.equal(server.ended, undefined);
  driver.vhost.unmap(ELSEWHERE, 2 ** 40);
  for (const memory of borrowed.splice(0)) memory.free();
  driver.start();
  driver.checkService(1);
  driver.checkService(2, 1);
  assert.equal(await sumOf(neighbourDisk), neighbourSum);
  const neighbour = await server.device('neighbour');
  assert.equal(neighbour.state, 'running');
  assert.deepEqual(
    neighbour.queues.map(({ state, errors }) => ({ state, errors })),
    [{ state: 'running', errors: 0 }],
  );
});

after(async () => {
  driver.close();
  await detach('target');
  await detach('neighbour');
  await server.stop();
});

/** Sees that the ring counts as broken: nothing more comes back from it, and the device says that it needs a reset. */
async function isBroken(reason: RegExp): Promise<void> {
  await until('the ring is broken', () => server.broken.length > 0);
  assert.equal(server.broken.length, 1);
  assert.match(server.broken[0] ?? '', /^target 0: /);
  assert.match(server.broken[0] ?? '', reason);
  driver.kick();
  assert.equal(driver.used(0, 30), undefined);
  const target = await server.device('target');
  assert.equal(target.queues[0]?.state, 'broken');
  assert.equal(target.driverStatus, DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
  // The other queue of the device goes on.
  driver.checkService(3, 1);
}

describe('a driver that breaks a ring', () => {
  test('descriptor index out of range, in the available ring', async () => {
    driver.offer(64);
    await isBroken(/descriptor 64 in a queue of 64/);
  });

  test('descriptor index out of range, in a chain', async () => {
    driver.ring().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 65535);
    driver.offer(0);
    await isBroken(/descriptor 65535 in a table of 64/);
  });

  test('chain that loops', async () => {
    driver.ring().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 1);
    driver.ring().descriptor(1, DATA, 16, VRING_DESC_F_NEXT, 0);
    driver.offer(0);
    await isBroken(/one that loops/);
  });

  test('chain that is its own next', async () => {
    driver.ring().descriptor(5, DATA, 16, VRING_DESC_F_NEXT, 5);
    driver.offer(5);
    await isBroken(/one that loops/);
  });

  test('chain longer than the queue', async () => {
    driver.start({ queues: 2, queueSize: 32 });
    const buffers = Array.from({ length: 65 }, () => ({ iova: DATA, length: 16 }));
    driver.offer(driver.ring().indirectChain(buffers, driver.indirectTable()));
    await isBroken(/indirect table of 1040 bytes/);
  });

  test('indirect table that loops', async () => {
    const table = driver.indirectTable();
    driver.ring().descriptor(0, DATA, 16, VRING_DESC_F_NEXT, 1, table);
    driver.ring().descriptor(1, DATA, 16, VRING_DESC_F_NEXT, 0, table);
    driver.ring().descriptor(0, table, 32, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/one that loops/);
  });

  test('indirect inside indirect', async () => {
    const table = driver.indirectTable();
    driver.ring().descriptor(0, table, 16, VRING_DESC_F_INDIRECT, 0, table);
    driver.ring().descriptor(0, table, 16, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect descriptor in an indirect table/);
  });

  test('indirect table of odd length', async () => {
    driver.ring().descriptor(0, driver.indirectTable(), 17, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table of 17 bytes/);
  });

  test('indirect table of no length', async () => {
    driver.ring().descriptor(0, driver.indirectTable(), 0, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table of 0 bytes/);
  });

  test('indirect table of 4 GiB', async () => {
    driver.ring().descriptor(0, driver.indirectTable(), 0xfffffff0, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/indirect table of 4294967280 bytes/);
  });

  test('indirect table where nothing is mapped', async () => {
    driver.ring().descriptor(0, NOWHERE, 32, VRING_DESC_F_INDIRECT);
    driver.offer(0);
    await isBroken(/no memory is mapped/);
  });

  test('indirect table that was not negotiated', async () => {
    driver.start({ queues: 2, queueSize: 64, features: (offered) => offered & ~(3n << 28n) });
    driver.offer(driver.ring().indirectChain([{ iova: DATA, length: 16 }], driver.indirectTable()));
    await isBroken(/not negotiated/);
  });

  test('indirect descriptor that has a next one', async () => {
    driver.ring().descriptor(0, driver.indirectTable(), 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
    driver.offer(0);
    await isBroken(/with a next one/);
  });

  test('readable buffer after a writable one', async () => {
    const head = driver.ring().chain([
      { iova: BUFFER, length: 512, writable: true },
      { iova: HEADER, length: 16 },
    ]);
    driver.offer(head);
    await isBroken(/read after a buffer to write/);
  });

  test('available index more than the queue size ahead', async () => {
    driver.ring().setAvailableIndex(65);
    driver.kick();
    await isBroken(/65 ahead in a queue of 64/);
  });

  test('available index that goes back', async () => {
    driver.checkService(4);
    driver.ring().setAvailableIndex(driver.ring().availableIndex - 1);
    driver.kick();
    await isBroken(/65535 ahead in a queue of 64/);
  });

  test('memory of a ring that is cut short underneath', async () => {
    const memory = borrow(MIB);
    driver.prepare();
    driver.vhost.map(ELSEWHERE, MIB, memory.address);
    const { descriptorTable, availableRing, usedRing } = driver.ring();
    const moved = (place: number): number => place - BASE + ELSEWHERE;
    driver.vhost.setQueueAddress(0, moved(descriptorTable), moved(availableRing), moved(usedRing));
    driver.vhost.status = DRIVER_OK;
    await until('the queue runs', async () => (await server.device('target')).queues[0]?.state === 'running');
    memory.truncate(0);
    driver.kick();
    await isBroken(/memory .* is gone/);
  });
});

describe('a driver that makes a bad request', () => {
  const status = { iova: STATUS, length: 1, writable: true };
  const data = (iova: number | bigint, length: number, writable = true) => ({ iova, length, writable });

  /** The request comes back with that status, and the next one is served. */
  function answers(expected: number, buffers: Parameters<VhostBlock['exchange']>[0], written?: number): void {
    driver.statusByte(STATUS);
    const answer = driver.exchange(buffers);
    assert.equal(answer.status, expected);
    if (written !== undefined) assert.equal(answer.written, written);
    driver.checkService(5);
    assert.deepEqual(server.broken, []);
  }

  for (const [what, iova, length] of [
    ['address not in the IOTLB', NOWHERE, 512],
    ['address above 2^53', 2n ** 60n, 512],
    ['address and length that wrap around', 2n ** 64n - 256n, 512],
    ['range that runs out of its region', BASE + MEMORY_BYTES - 256, 512],
    ['buffer of 4 GiB', DATA, 0xffffffff],
    ['buffer of zero length', DATA, 0],
  ] as const) {
    for (const [way, type] of [
      ['read', IN],
      ['write', OUT],
    ] as const) {
      test(`${what}, to ${way}: an I/O error`, () => {
        answers(IOERR, [driver.header(HEADER, type, 0), data(iova, length, type === IN), status], 0);
      });
    }
  }

  test('range across two regions that lie together: served', () => {
    const memory = borrow(2 * PAGE);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address + PAGE);
    driver.vhost.map(ELSEWHERE + PAGE, PAGE, memory.address);
    const bytes = Uint8Array.from({ length: PAGE }, (_, index) => index & 0xff);
    assert.equal(driver.request(OUT, 100, bytes), OK);
    answers(OK, [driver.header(HEADER, IN, 100), data(ELSEWHERE + PAGE / 2, PAGE), status], PAGE + 1);
    assert.deepEqual(memory.u8.slice(PAGE + PAGE / 2), bytes.slice(0, PAGE / 2));
    assert.deepEqual(memory.u8.slice(0, PAGE / 2), bytes.slice(PAGE / 2));
  });

  test('range across a region that is there and one that is not: an I/O error', () => {
    const memory = borrow(PAGE);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address);
    answers(IOERR, [driver.header(HEADER, IN, 0), data(ELSEWHERE + PAGE / 2, PAGE), status], 0);
  });

  test('read-only memory to write: an I/O error, and it stays as it was', () => {
    const memory = borrow(PAGE);
    memory.u8.fill(0x5a);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address, VHOST_ACCESS_RO);
    answers(IOERR, [driver.header(HEADER, IN, 0), data(ELSEWHERE, 512), status], 0);
    assert.ok(memory.u8.every((byte) => byte === 0x5a));
  });

  test('write-only memory to read: an I/O error', () => {
    const memory = borrow(PAGE);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address, VHOST_ACCESS_WO);
    answers(IOERR, [driver.header(HEADER, OUT, 0), data(ELSEWHERE, 512, false), status], 0);
  });

  for (const length of [0, 1, 15]) {
    test(`header of ${length} bytes: an I/O error`, () => {
      driver.header(HEADER, IN, 0);
      answers(IOERR, [{ iova: HEADER, length }, data(BUFFER, 512), status]);
    });
  }

  test('header in sixteen pieces: served', () => {
    driver.header(HEADER, IN, 0);
    const pieces = Array.from({ length: 16 }, (_, index) => ({ iova: HEADER + index, length: 1 }));
    answers(OK, [...pieces, data(BUFFER, 512), status], 513);
  });

  test('status byte in one piece with the data: served', () => {
    driver.memory.u8[driver.at(BUFFER) + 512] = UNTOUCHED;
    const answer = driver.exchange([driver.header(HEADER, IN, 0), data(BUFFER, 513)]);
    assert.deepEqual(answer, { status: OK, written: 513 });
  });

  test('no status byte: comes back without one', () => {
    const head = driver.ring().chain([driver.header(HEADER, OUT, 0), data(BUFFER, 512, false)]);
    driver.offer(head);
    assert.deepEqual(driver.used(), { head, written: 0 });
    driver.checkService(6);
  });

  test('status byte in read-only memory: comes back without one', () => {
    const memory = borrow(PAGE);
    memory.u8.fill(UNTOUCHED);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address, VHOST_ACCESS_RO);
    const head = driver.ring().chain([driver.header(HEADER, IN, 0), data(BUFFER, 512), data(ELSEWHERE, 1)]);
    driver.offer(head);
    assert.deepEqual(driver.used(), { head, written: 0 });
    assert.equal(memory.u8[0], UNTOUCHED);
    driver.checkService(7);
  });

  test('chain of a single writable byte: an I/O error', () => {
    answers(IOERR, [status]);
  });

  for (const [what, sector] of [
    ['past the end', SECTORS],
    ['that runs past the end', SECTORS - 1],
    ['of 2^63', 2n ** 63n],
    ['whose byte position wraps around', 2n ** 55n],
    ['of all ones', 2n ** 64n - 1n],
  ] as const) {
    for (const [way, type] of [
      ['read', IN],
      ['write', OUT],
    ] as const) {
      test(`sector ${what}, to ${way}: an I/O error`, () => {
        answers(IOERR, [driver.header(HEADER, type, sector), data(BUFFER, 1024, type === IN), status]);
      });
    }
  }

  test('length that is no whole sector: an I/O error', () => {
    answers(IOERR, [driver.header(HEADER, IN, 0), data(BUFFER, 511), status], 0);
    answers(IOERR, [driver.header(HEADER, OUT, 0), data(BUFFER, 513, false), status], 1);
  });

  test('unknown request type: unsupported', () => {
    answers(UNSUPP, [driver.header(HEADER, 0xdeadbeef, 0), data(BUFFER, 512), status]);
  });

  const range = (sector: number | bigint, sectors: number, flags = 0): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(BigInt(sector), 0);
    bytes.writeUInt32LE(sectors, 8);
    bytes.writeUInt32LE(flags, 12);
    return bytes;
  };

  for (const [name, type] of [
    ['discard', blk.VIRTIO_BLK_T_DISCARD],
    ['write zeroes', blk.VIRTIO_BLK_T_WRITE_ZEROES],
  ] as const) {
    test(`${name} of 16 MiB: served, and nothing beyond it`, () => {
      const bytes = new Uint8Array(PAGE).fill(0xab);
      const first = 1024;
      const sectors = (16 * MIB) / blk.SECTOR_SIZE;
      for (const sector of [first - 8, first, first + sectors - 8, first + sectors]) {
        assert.equal(driver.request(OUT, sector, bytes), OK);
      }
      assert.equal(driver.request(type, 0, range(first, sectors)), OK);
      for (const [sector, byte] of [
        [first - 8, 0xab],
        [first, 0],
        [first + sectors - 8, 0],
        [first + sectors, 0xab],
      ] as const) {
        assert.equal(driver.request(IN, sector, PAGE), OK);
        assert.ok(driver.data(PAGE).every((each) => each === byte));
      }
    });

    for (const [what, ranges, expected] of [
      ['past the end', [range(SECTORS, 8)], IOERR],
      ['that runs past the end', [range(SECTORS - 8, 16)], IOERR],
      ['that wraps around', [range(2n ** 64n - 8n, 16)], IOERR],
      ['of 2^32 - 1 sectors', [range(0, 0xffffffff)], IOERR],
      ['with a flag that there is not', [range(0, 8, 2)], UNSUPP],
      ['of which one of two is bad', [range(8, 8), range(SECTORS, 8)], IOERR],
      ['of 33 ranges', Array.from({ length: 33 }, () => range(0, 8)), IOERR],
      ['of no range', [], IOERR],
      ['of half a range', [range(0, 8).subarray(0, 8)], IOERR],
    ] as const) {
      test(`${name} ${what}: refused, nothing done`, () => {
        const bytes = new Uint8Array(PAGE).fill(0xcd);
        assert.equal(driver.request(OUT, 8, bytes), OK);
        assert.equal(driver.request(type, 0, Buffer.concat(ranges)), expected);
        assert.equal(driver.request(IN, 8, PAGE), OK);
        assert.deepEqual(driver.data(PAGE), bytes);
      });
    }
  }

  test('memory of a buffer that is cut short underneath: its own loss, and the ring is broken', async () => {
    const memory = borrow(MIB);
    driver.vhost.map(ELSEWHERE, MIB, memory.address);
    driver.exchange([driver.header(HEADER, IN, 0), data(ELSEWHERE, MIB), driver.statusByte(STATUS)]);
    memory.truncate(PAGE);
    driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), data(ELSEWHERE, MIB), driver.statusByte(STATUS)]));
    assert.ok(driver.used());
    await isBroken(/memory .* is gone/);
  });
});

describe('a driver that changes things in use', () => {
  test('ring moved while in use: served where it is now', () => {
    driver.checkService(8);
    const memory = borrow(MEMORY_BYTES);
    memory.u8.set(driver.memory.u8);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, memory.address);
    const ring = driver.ring();
    const head = ring.chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]);
    ring.offer(head);
    memory.u8.set(driver.memory.u8);
    driver.kick();
    const usedIndex = new Uint16Array(memory.buffer);
    const end = performance.now() + 5000;
    while (Atomics.load(usedIndex, (ring.usedRing - BASE + 2) / 2) !== ring.availableIndex) {
      assert.ok(performance.now() < end, 'the request did not come back');
    }
    assert.equal(memory.u8[driver.at(STATUS)], OK);
    assert.equal(driver.memory.u8[driver.at(STATUS)], UNTOUCHED);
    driver.vhost.unmap(BASE, MEMORY_BYTES);
    driver.vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
  });

  test('ring whose memory is taken away while in use: rests, and goes on when it is back', async () => {
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

  test('used ring in write-only memory: served', () => {
    const memory = borrow(MIB);
    driver.prepare();
    driver.vhost.map(ELSEWHERE, MIB, memory.address, VHOST_ACCESS_WO);
    const { descriptorTable, availableRing } = driver.ring();
    driver.vhost.setQueueAddress(0, descriptorTable, availableRing, ELSEWHERE);
    driver.vhost.status = DRIVER_OK;
    driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]));
    const words = new Uint16Array(memory.buffer);
    const end = performance.now() + 5000;
    while (Atomics.load(words, 1) !== 1) assert.ok(performance.now() < end, 'the request did not come back');
  });

  test('rings that lie where they must not: not served', () => {
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

  test('rings that lie in one another: the server lives', () => {
    driver.prepare();
    driver.vhost.setQueueAddress(0, BASE, BASE, BASE);
    driver.vhost.status = DRIVER_OK;
    driver.ring().setAvailableIndex(3);
    driver.kick();
    driver.used(0, 50);
    driver.checkService(12, 1);
  });

  test('both queues in the same memory: the server lives', () => {
    driver.prepare();
    const { descriptorTable, availableRing, usedRing } = driver.ring();
    driver.vhost.setQueueAddress(1, descriptorTable, availableRing, usedRing);
    driver.vhost.status = DRIVER_OK;
    for (let round = 0; round < 20; round++) {
      driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), driver.statusByte(STATUS)]));
      driver.kick(1);
    }
    driver.used(0, 50);
  });

  test('buffer that is the ring itself: the server lives', () => {
    const { descriptorTable, usedRing } = driver.ring();
    for (const iova of [descriptorTable, usedRing & ~511]) {
      const head = driver
        .ring()
        .chain([driver.header(HEADER, IN, 0), { iova, length: 512, writable: true }, driver.statusByte(STATUS)]);
      driver.offer(head);
      driver.used(0, 50);
      driver.start();
    }
  });

  test('reset while requests are under way', () => {
    for (let round = 0; round < 30; round++) {
      for (let each = 0; each < 10; each++) {
        const buffer = { iova: BUFFER, length: 256 * 1024, writable: true };
        driver.ring().offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
      }
      driver.kick();
      driver.start();
    }
  });

  test('suspended while requests are under way: goes on nowhere until the reset', () => {
    for (let each = 0; each < 10; each++) {
      const buffer = { iova: BUFFER, length: 256 * 1024, writable: true };
      driver.ring().offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
    }
    driver.kick();
    driver.vhost.suspend();
    const base = driver.vhost.queueBase(0);
    assert.equal(base, driver.ring().usedIndex);
    driver.kick();
    driver.used(0, 20);
    assert.equal(driver.ring().usedIndex, base);
  });

  test('queue disabled while requests are under way, and enabled again', () => {
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

describe('a driver that negotiates what there is not', () => {
  const refuse = (features: (offered: bigint) => bigint): void => {
    driver.vhost.status = 0;
    driver.vhost.status = 3;
    driver.vhost.setFeatures(features(driver.vhost.features()));
    driver.vhost.status = 11;
    assert.equal(driver.vhost.status, 3);
  };

  test('features that were not offered: FEATURES_OK does not stay', () => {
    refuse((offered) => offered | (1n << 34n));
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

describe('a driver that wants much', () => {
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

  test('a region of 1 GiB without memory behind it: its own loss', async () => {
    const huge = 2 ** 30;
    const far = borrow(PAGE, huge);
    driver.vhost.map(ELSEWHERE, huge, far.address);
    const before = (await server.status()).rss;
    for (let round = 0; round < 5; round++) {
      const buffer = { iova: ELSEWHERE + 16 * MIB, length: 32 * MIB, writable: true };
      driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), buffer, driver.statusByte(STATUS)]));
      assert.ok(driver.used());
      await isBroken(/memory .* is gone/);
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
