import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import * as blk from '../../src/virtio/block.js';
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
  SIZE,
  STATUS,
} from '../support/kernel/drivers/hostile-target.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { UNTOUCHED, type VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { BASE, DATA, MEMORY_BYTES } from '../../src/vhost/driver.js';
import { VHOST_ACCESS_RO, VHOST_ACCESS_WO } from '../../src/vhost/uapi.js';

const { describe, test } = testsWith(VDUSE);

const SECTORS = SIZE / blk.SECTOR_SIZE;
const PAGE = 4096;

const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_S_OK: OK } = blk;
const { VIRTIO_BLK_S_IOERR: IOERR, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;

setUpTarget();

describe('a driver that makes a bad request', () => {
  const status = { iova: STATUS, length: 1, writable: true };
  const data = (iova: number | bigint, length: number, writable = true) => ({ iova, length, writable });

  /** The request is completed with this status, and the next one is served. */
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

  test('range across two adjacent regions: served', () => {
    const memory = borrow(2 * PAGE);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address + PAGE);
    driver.vhost.map(ELSEWHERE + PAGE, PAGE, memory.address);
    const bytes = Uint8Array.from({ length: PAGE }, (_, index) => index & 0xff);
    assert.equal(driver.request(OUT, 100, bytes), OK);
    answers(OK, [driver.header(HEADER, IN, 100), data(ELSEWHERE + PAGE / 2, PAGE), status], PAGE + 1);
    assert.deepEqual(memory.u8.slice(PAGE + PAGE / 2), bytes.slice(0, PAGE / 2));
    assert.deepEqual(memory.u8.slice(0, PAGE / 2), bytes.slice(PAGE / 2));
  });

  test('range across a mapped and an unmapped region: I/O error', () => {
    const memory = borrow(PAGE);
    driver.vhost.map(ELSEWHERE, PAGE, memory.address);
    answers(IOERR, [driver.header(HEADER, IN, 0), data(ELSEWHERE + PAGE / 2, PAGE), status], 0);
  });

  test('write to read-only memory: I/O error, memory unchanged', () => {
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

  test('no status byte: returned without one', () => {
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

  test('length that is not a multiple of a sector: I/O error', () => {
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
      ['with an unknown flag', [range(0, 8, 2)], UNSUPP],
      ['of which one of two is bad', [range(8, 8), range(SECTORS, 8)], IOERR],
      ['of 33 ranges', Array.from({ length: 33 }, () => range(0, 8)), IOERR],
      ['of zero ranges', [], IOERR],
      ['of half a range', [range(0, 8).subarray(0, 8)], IOERR],
    ] as const) {
      test(`${name} ${what}: rejected, nothing done`, () => {
        const bytes = new Uint8Array(PAGE).fill(0xcd);
        assert.equal(driver.request(OUT, 8, bytes), OK);
        assert.equal(driver.request(type, 0, Buffer.concat(ranges)), expected);
        assert.equal(driver.request(IN, 8, PAGE), OK);
        assert.deepEqual(driver.data(PAGE), bytes);
      });
    }
  }

  test('truncated memory of a buffer: harms only the driver, and breaks the ring', async () => {
    const memory = borrow(MIB);
    driver.vhost.map(ELSEWHERE, MIB, memory.address);
    driver.exchange([driver.header(HEADER, IN, 0), data(ELSEWHERE, MIB), driver.statusByte(STATUS)]);
    memory.truncate(PAGE);
    driver.offer(driver.ring().chain([driver.header(HEADER, IN, 0), data(ELSEWHERE, MIB), driver.statusByte(STATUS)]));
    assert.ok(driver.used());
    await isBroken(/memory .* was truncated/);
  });
});
