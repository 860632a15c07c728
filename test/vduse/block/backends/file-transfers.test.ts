import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { Errno } from '../../../../src/sys/errno.js';
import { DISCARD, FLUSH, READ, WRITE, WRITE_ZEROES, type BlockBackend } from '../../../../src/vduse/block/backend.js';
import { AsyncFileBackend } from '../../../../src/vduse/block/backends/async-file.js';
import { FileBackend } from '../../../../src/vduse/block/backends/file.js';
import { FlushFailure } from '../../../../src/vduse/block/backends/flush-failure.js';
import type { AioMode } from '../../../../src/vduse/spec/fields.js';
import { FlushRecord } from '../../../../src/vduse/block/flush-record.js';
import { asyncModes, openCarrier, whySkipped } from './carriers.js';
import { execute, memory, type Transfer } from './transfers.js';

const SIZE = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'vdpa-file-backend-'));
after(() => {
  rmSync(folder, { recursive: true });
});

for (const aio of ['sync', ...asyncModes] as const) {
  describe(`a file with aio ${aio}`, { skip: aio !== 'sync' && whySkipped(aio) }, () => {
    transfersOfAFile(aio);
  });
}

function transfersOfAFile(aio: AioMode): void {
  let fd: number;
  let shared: Int32Array;
  let backend: BlockBackend;

  function openBackend(file: number, record?: FlushRecord): BlockBackend {
    const opened = { fd: file, size: SIZE, blockDevice: undefined, direct: undefined };
    const failure = new FlushFailure(shared, record);
    if (aio === 'sync') return new FileBackend(opened, shared, failure);
    const carrier = openCarrier(aio, file);
    assert.ok(carrier);
    return new AsyncFileBackend(opened, carrier, failure);
  }

  function open(flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC): void {
    fd = openSync(join(folder, 'disk'), flags, 0o600);
    shared = new Int32Array(new SharedArrayBuffer(64));
    backend = openBackend(fd);
  }

  beforeEach(() => {
    open();
    ftruncateSync(fd, SIZE);
  });

  afterEach(() => {
    backend.close();
    closeSync(fd);
  });

  /** The content of the file at a position. */
  function fileAt(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    readSync(fd, bytes, 0, length, position);
    return bytes;
  }

  describe('reads and writes of a file', () => {
    test('in a batch: adjacent ones, ones with gaps, and ones that change direction', () => {
      for (let at = 0; at < 8192; at++) memory.u8[at] = (at * 7) % 253;
      const errors = execute(backend, [
        { type: WRITE, position: 0, length: 1024, from: 0 },
        { type: WRITE, position: 1024, length: 1024, from: 1024, piece: 100 },
        { type: WRITE, position: 65536, length: 4096, from: 2048 },
      ]);
      const readErrors = execute(backend, [
        { type: READ, position: 512, length: 1024, from: 16384 },
        { type: READ, position: 65536, length: 4096, from: 20480, piece: 512 },
      ]);
      assert.deepEqual(
        [errors, readErrors],
        [
          [0, 0, 0],
          [0, 0],
        ],
      );
      assert.deepEqual(fileAt(0, 2048), memory.u8.slice(0, 2048));
      assert.deepEqual(fileAt(65536, 4096), memory.u8.slice(2048, 6144));
      assert.deepEqual(memory.u8.slice(16384, 17408), memory.u8.slice(512, 1536));
      assert.deepEqual(memory.u8.slice(20480, 24576), memory.u8.slice(2048, 6144));
    });

    test('of more pieces than one call accepts move every byte', () => {
      for (let at = 0; at < 3000; at++) memory.u8[at] = at % 241;
      assert.deepEqual(execute(backend, [{ type: WRITE, position: 100 * 512, length: 3000, from: 0, piece: 2 }]), [0]);
      assert.deepEqual(fileAt(100 * 512, 3000), memory.u8.slice(0, 3000));
      memory.u8.fill(0, 0, 3000);
      assert.deepEqual(execute(backend, [{ type: READ, position: 100 * 512, length: 3000, from: 0, piece: 1 }]), [0]);
      assert.deepEqual(fileAt(100 * 512, 3000), memory.u8.slice(0, 3000));
    });

    test('more transfers than one system call accepts are all carried out', () => {
      memory.u8.fill(5, 0, 512);
      const transfers = Array.from({ length: 300 }, (_, index): Transfer => ({
        type: WRITE,
        position: index * 1024,
        length: 512,
        from: 0,
      }));
      assert.ok(execute(backend, transfers).every((error) => error === 0));
      for (const index of [0, 127, 128, 299]) assert.deepEqual([...fileAt(index * 1024 + 511, 2)], [5, 0]);
    });

    test('past the end of the disk: a write fails and does not extend the file', () => {
      const errors = execute(backend, [
        { type: WRITE, position: SIZE, length: 512, from: 0 },
        { type: WRITE, position: 0, length: 512, from: 0 },
      ]);
      assert.deepEqual(errors, [Errno.EIO, 0]);
      assert.equal(fstatSync(fd).size, SIZE);
    });

    test('of a truncated file: the missing part is an error, an adjacent transfer in the same batch is not', () => {
      ftruncateSync(fd, 4096);
      const errors = execute(backend, [
        { type: READ, position: 2048, length: 2048, from: 0 },
        { type: READ, position: 4096, length: 2048, from: 2048 },
        { type: READ, position: 0, length: 512, from: 0 },
      ]);
      assert.deepEqual(errors, [0, Errno.EIO, 0]);
    });

    test('after the size is lowered: the rest of the file is not accessible', () => {
      backend.resize?.(4096);
      const errors = execute(backend, [
        { type: WRITE, position: 4096 - 512, length: 512, from: 0 },
        { type: WRITE, position: 4096, length: 512, from: 0 },
        { type: WRITE_ZEROES, position: 4096, length: 512 },
        { type: DISCARD, position: 3584, length: 1024 },
      ]);
      assert.deepEqual(errors, [0, Errno.EIO, Errno.EIO, Errno.EIO]);
    });

    test('to or from unmapped memory are errors', () => {
      const errors = execute(backend, [
        { type: WRITE, position: 0, length: 512, from: 2 ** 40 },
        { type: READ, position: 0, length: 512, from: 0 },
      ]);
      assert.deepEqual(errors, [Errno.EFAULT, 0]);
    });

    test('of a read-only descriptor: writes and zeros fail, each with the system error', () => {
      closeSync(fd);
      open(constants.O_RDONLY);
      const errors = execute(backend, [
        { type: WRITE, position: 0, length: 512, from: 0 },
        { type: WRITE, position: 1024, length: 512, from: 0 },
        { type: WRITE_ZEROES, position: 0, length: 512 },
        { type: READ, position: 0, length: 512, from: 0 },
      ]);
      assert.deepEqual(errors, [Errno.EBADF, Errno.EBADF, Errno.EBADF, 0]);
    });
  });

  describe('zeros and discards of a file', () => {
    test('read as zeros, to the byte, and keep its length', () => {
      memory.u8.fill(9, 0, 65536);
      execute(backend, [{ type: WRITE, position: 0, length: 65536, from: 0 }]);
      const errors = execute(backend, [
        { type: WRITE_ZEROES, position: 512, length: 1024 },
        { type: WRITE_ZEROES, position: 8192, length: 4096, unmap: true },
        { type: DISCARD, position: 16384, length: 8192 },
      ]);
      assert.deepEqual(errors, [0, 0, 0]);
      const expected = new Uint8Array(65536).fill(9).fill(0, 512, 1536).fill(0, 8192, 12288).fill(0, 16384, 24576);
      assert.deepEqual(fileAt(0, 65536), expected);
      assert.equal(fstatSync(fd).size, SIZE);
    });
  });

  describe('flushes of a file', () => {
    /** A descriptor that cannot be flushed. */
    function unflushable(record?: FlushRecord): BlockBackend {
      return openBackend(openSync('/dev/null', 'r+'), record);
    }

    test('succeed repeatedly', () => {
      assert.deepEqual(execute(backend, [{ type: FLUSH }, { type: FLUSH }]), [0, 0]);
    });

    test('all fail once one has failed, including those of other threads and of the next server', () => {
      const record = FlushRecord.open(join(folder, 'record'), false);
      assert.equal(record.failed, false);
      const failing = unflushable(record);
      const [first = 0] = execute(failing, [{ type: FLUSH }]);
      assert.notEqual(first, 0);
      assert.deepEqual(execute(failing, [{ type: FLUSH }, { type: READ }]), [Errno.EIO, 0]);
      assert.deepEqual(execute(backend, [{ type: FLUSH }]), [Errno.EIO], 'another thread of the device');
      assert.equal(record.failed, true);
      record.close();

      const next = FlushRecord.open(join(folder, 'record'), false);
      shared = new Int32Array(new SharedArrayBuffer(64));
      const successor = openBackend(fd, FlushRecord.forThread(next.fd));
      assert.deepEqual(execute(successor, [{ type: FLUSH }]), [Errno.EIO], 'the next server');
      next.close();

      const forgotten = FlushRecord.open(join(folder, 'record'), true);
      assert.equal(forgotten.failed, false, 'a new device of the same name');
      forgotten.close();
    });

    test('a record is not written through a symbolic link', () => {
      const target = join(folder, 'target');
      writeFileSync(target, 'precious');
      rmSync(join(folder, 'link'), { force: true });
      symlinkSync(target, join(folder, 'link'));
      assert.throws(() => FlushRecord.open(join(folder, 'link'), true), { code: 'ELOOP' });
      assert.equal(readFileSync(target, 'utf8'), 'precious');
    });
  });
}
