import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { IOCB_CMD_PREADV, IOCB_CMD_PWRITEV, TransferBatch } from '../../src/sys/aio.js';
import { Errno } from '../../src/sys/errno.js';
import { IoVector } from '../../src/sys/io-vector.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { FileBackend } from '../../src/vduse/block/backends/file.js';
import { FlushFailure } from '../../src/vduse/block/backends/flush-failure.js';
import { carryOut } from '../support/block-operations.js';
import { FLUSH, READ, WRITE, type Operation, type OperationType } from '../../src/vduse/block/backend.js';

const path = '/tmp/backend.img';
const BLOCK = 4096;
const BLOCKS = 256;
const LIMIT = '/proc/sys/fs/aio-max-nr';

const content = (block: number, seed: number): Uint8Array => new Uint8Array(BLOCK).fill((block * 7 + seed) & 0xff);

/** Creates and opens a file whose blocks all differ. */
function openImage(flags = 'r+'): number {
  writeFileSync(path, Buffer.concat(Array.from({ length: BLOCKS }, (_, block) => content(block, 0))));
  return openSync(path, flags);
}

describe('transfers in one system call', () => {
  const memory = new NativeBuffer(64 * BLOCK);
  const vector = new IoVector(64);
  for (let index = 0; index < 64; index++) vector.push(memory.address + index * BLOCK, BLOCK);

  test('many in each call, repeatedly: more than the event ring has room for', () => {
    const fd = openImage();
    const batch = TransferBatch.open(64);
    assert.ok(batch);
    for (let round = 0; round < 100; round++) {
      const count = 1 + ((round * 13) % 64);
      batch.count = 0;
      for (let index = 0; index < count; index++) {
        const block = (round * 31 + index * 5) % BLOCKS;
        batch.push(IOCB_CMD_PREADV, fd, vector.at(index), 1, block * BLOCK);
      }
      memory.u8.fill(0xee);
      assert.equal(batch.run(), count);
      for (let index = 0; index < count; index++) {
        assert.equal(batch.result(index), BLOCK);
        const block = (round * 31 + index * 5) % BLOCKS;
        const read = memory.u8.subarray(index * BLOCK, (index + 1) * BLOCK);
        assert.equal(Buffer.compare(read, content(block, 0)), 0);
      }
    }
    batch.close();
    closeSync(fd);
  });

  test('each has its own result: complete, up to the end of the file, or an error', () => {
    const fd = openImage();
    const nowhere = new IoVector(1);
    nowhere.push(8, BLOCK);
    const batch = TransferBatch.open(4);
    assert.ok(batch);
    batch.push(IOCB_CMD_PREADV, fd, vector.at(0), 1, 0);
    batch.push(IOCB_CMD_PREADV, fd, vector.at(1), 1, BLOCKS * BLOCK - 100);
    batch.push(IOCB_CMD_PREADV, fd, nowhere.at(0), 1, 0);
    batch.push(IOCB_CMD_PWRITEV, fd, vector.at(0), 2, 8 * BLOCK);
    assert.equal(batch.run(), 4);
    assert.deepEqual(
      [0, 1, 2, 3].map((index) => batch.result(index)),
      [BLOCK, 100, -Errno.EFAULT, 2 * BLOCK],
    );
    batch.close();
    nowhere.free();
    closeSync(fd);
  });

  test('one that the kernel rejects ends the list', () => {
    const fd = openImage();
    const batch = TransferBatch.open(3);
    assert.ok(batch);
    batch.push(IOCB_CMD_PREADV, fd, vector.at(0), 1, 0);
    batch.push(IOCB_CMD_PREADV, 9999, vector.at(1), 1, 0);
    batch.push(IOCB_CMD_PREADV, fd, vector.at(2), 1, 0);
    assert.equal(batch.run(), 1);
    batch.count = 0;
    batch.push(IOCB_CMD_PREADV, 9999, vector.at(1), 1, 0);
    assert.equal(batch.run(), 0);
    batch.close();
    closeSync(fd);
  });
});

describe('the file backend', () => {
  const limit = readFileSync(LIMIT, 'latin1');
  after(() => {
    writeFileSync(LIMIT, limit);
  });

  const operation = (type: OperationType, block: number, blocks: number, first: number): Operation => ({
    type,
    position: block * BLOCK,
    length: blocks * BLOCK,
    first,
    count: blocks,
    unmap: false,
    error: -1,
  });

  for (const together of [true, false]) {
    const how = together ? 'in one call' : 'in one call each, if the kernel supports nothing else';

    test(`a batch of reads and writes, adjacent and not, ${how}`, () => {
      writeFileSync(LIMIT, together ? limit : '0');
      assert.equal(probe(), together);
      const fd = openImage();
      const backend = openBackend(fd);
      const memory = new NativeBuffer(64 * BLOCK);
      const vector = new IoVector(64);
      for (let index = 0; index < 64; index++) vector.push(memory.address + index * BLOCK, BLOCK);
      const slot = (index: number): Uint8Array => memory.u8.subarray(index * BLOCK, (index + 1) * BLOCK);
      for (let index = 0; index < 6; index++) slot(index).set(content(index, 99));
      const operations = [
        // Two adjacent ones, then one elsewhere.
        operation(WRITE, 10, 1, 0),
        operation(WRITE, 11, 2, 1),
        operation(WRITE, 50, 3, 3),
        operation(FLUSH, 0, 0, 0),
        operation(READ, 10, 3, 10),
        operation(READ, 50, 3, 13),
        operation(READ, 200, 1, 16),
        // Beyond the end.
        operation(READ, BLOCKS - 1, 2, 17),
        operation(READ, 201, 1, 19),
      ];
      carryOut(backend, operations, vector);
      assert.deepEqual(
        operations.map(({ error }) => error),
        [0, 0, 0, 0, 0, 0, 0, Errno.EIO, 0],
      );
      for (let index = 0; index < 6; index++) assert.equal(Buffer.compare(slot(10 + index), content(index, 99)), 0);
      assert.equal(Buffer.compare(slot(16), content(200, 0)), 0);
      assert.equal(Buffer.compare(slot(19), content(201, 0)), 0);
      const file = readFileSync(path);
      assert.equal(Buffer.compare(file.subarray(50 * BLOCK, 51 * BLOCK), content(3, 99)), 0);
      assert.equal(Buffer.compare(file.subarray(53 * BLOCK, 54 * BLOCK), content(53, 0)), 0);
      backend.close();
      closeSync(fd);
      vector.free();
      memory.free();
    });

    test(`only the operation that failed gets an error, ${how}`, () => {
      writeFileSync(LIMIT, together ? limit : '0');
      const fd = openImage('r');
      const backend = openBackend(fd);
      const memory = new NativeBuffer(4 * BLOCK);
      const vector = new IoVector(4);
      vector.push(memory.address, BLOCK);
      vector.push(8, BLOCK);
      vector.push(memory.address + BLOCK, BLOCK);
      vector.push(memory.address + 2 * BLOCK, BLOCK);
      const operations = [
        operation(READ, 5, 1, 0),
        operation(READ, 6, 1, 1),
        operation(READ, 7, 1, 2),
        operation(WRITE, 100, 1, 3),
      ];
      carryOut(backend, operations, vector);
      assert.deepEqual(
        operations.map(({ error }) => error),
        [0, Errno.EFAULT, 0, Errno.EBADF],
      );
      assert.equal(Buffer.compare(memory.u8.subarray(BLOCK, 2 * BLOCK), content(7, 0)), 0);
      backend.close();
      closeSync(fd);
      vector.free();
      memory.free();
    });
  }
});

function openBackend(fd: number): FileBackend {
  const shared = new Int32Array(16);
  return new FileBackend(
    { fd, size: BLOCKS * BLOCK, blockDevice: undefined },
    shared,
    new FlushFailure(shared, undefined),
  );
}

/** Whether the kernel supports batches of transfers now. */
function probe(): boolean {
  const batch = TransferBatch.open(1);
  batch?.close();
  return batch !== undefined;
}
