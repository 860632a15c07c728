import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoVector } from '../../../src/sys/io-vector.js';
import { NativeBuffer } from '../../../src/sys/memory.js';
import { Errno } from '../../../src/sys/errno.js';
import {
  BackendError,
  OperationType,
  SimpleBlockBackend,
  VduseError,
  type Operation,
} from '../../../src/vduse/index.js';
import { carryOut } from '../../support/block-operations.js';

const SIZE = 4096;

class Failing extends SimpleBlockBackend {
  error: Error | undefined;
  readonly data = new Uint8Array(SIZE).fill(7);
  flushes = 0;

  read(position: number, target: Uint8Array): void {
    if (this.error) throw this.error;
    target.set(this.data.subarray(position, position + target.length));
  }

  override write(position: number, source: Uint8Array): void {
    if (this.error) throw this.error;
    this.data.set(source, position);
  }

  override flush(): void {
    this.flushes++;
    if (this.error) throw this.error;
  }
}

class ReadOnly extends SimpleBlockBackend {
  read(_position: number, target: Uint8Array): void {
    target.fill(0);
  }
}

/** Executes one operation on 512 bytes of memory. @returns its error number */
function execute(backend: SimpleBlockBackend, type: OperationType, memory: NativeBuffer): number {
  const vector = new IoVector(1);
  vector.push(memory.address, 512);
  const operation: Operation = { type, position: 512, length: 512, first: 0, count: 1, unmap: false, error: -1 };
  try {
    carryOut(backend, [operation], vector);
  } finally {
    vector.free();
  }
  return operation.error;
}

test('a function of a backend throws a typed error, and the driver gets its number', () => {
  const memory = new NativeBuffer(512);
  const backend = new Failing();
  assert.equal(execute(backend, OperationType.READ, memory), 0);
  assert.ok(memory.u8.subarray(0, 512).every((byte) => byte === 7));
  memory.u8.fill(9);
  assert.equal(execute(backend, OperationType.WRITE, memory), 0);
  assert.deepEqual([backend.data[511], backend.data[512], backend.data[1023], backend.data[1024]], [7, 9, 9, 7]);
  assert.equal(execute(backend, OperationType.FLUSH, memory), 0);
  for (const type of [OperationType.READ, OperationType.WRITE, OperationType.FLUSH]) {
    backend.error = new BackendError('ENOSPC');
    assert.equal(execute(backend, type, memory), Errno.ENOSPC);
    backend.error = new BackendError();
    assert.equal(execute(backend, type, memory), Errno.EIO);
    const bug = new TypeError('a bug');
    backend.error = bug;
    assert.throws(
      () => execute(backend, type, memory),
      (error) => error === bug,
    );
  }
  assert.equal(execute(backend, OperationType.DISCARD, memory), Errno.EOPNOTSUPP);
  assert.equal(execute(backend, OperationType.WRITE_ZEROES, memory), Errno.EOPNOTSUPP);
  memory.free();
});

test('a backend without write rejects writes, and closing it flushes', () => {
  const memory = new NativeBuffer(512);
  assert.equal(execute(new ReadOnly(), OperationType.WRITE, memory), Errno.EROFS);
  assert.equal(execute(new ReadOnly(), OperationType.FLUSH, memory), 0);
  memory.free();
  const backend = new Failing();
  backend.close();
  assert.equal(backend.flushes, 1);
});

test('a BackendError explains its number, and is a VduseError', () => {
  const error = new BackendError('EIO');
  assert.ok(error instanceof VduseError);
  assert.deepEqual(
    [error.name, error.code, error.errno, error.message],
    ['BackendError', 'EIO', 5, 'Input/output error'],
  );
  assert.equal(new BackendError('EIO', 'the remote is gone').message, 'the remote is gone');
});
