import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Errno } from '../../../../src/sys/errno.js';
import { IoVector } from '../../../../src/sys/io-vector.js';
import { FileBackend } from '../../../../src/vduse/block/backends/file.js';
import { FlushFailure } from '../../../../src/vduse/block/backends/flush-failure.js';
import { carryOut } from '../../../support/block-operations.js';
import { FLUSH, type Operation } from '../../../../src/vduse/block/backend.js';

/** Shared words of a device's threads, as the file backend uses them. */
const FAILED = 0;
const FLUSHING = 1;

/** A thread that is flushing, and fails once another thread waits for it: it wakes that one, which waits again. */
const failingThread = `
  const { workerData: shared } = require('node:worker_threads');
  while (Atomics.notify(shared, ${FLUSHING}) === 0) Atomics.wait(shared, ${FAILED}, 0, 1);
  Atomics.store(shared, ${FAILED}, ${Errno.EIO});
  Atomics.store(shared, ${FLUSHING}, 0);
  Atomics.notify(shared, ${FLUSHING});
`;

test('a flush during the failing flush of another thread fails too, whichever of them gets the error from the kernel', async () => {
  const shared = new Int32Array(new SharedArrayBuffer(64));
  const backend = new FileBackend(
    { fd: openSync('/dev/null', 'r+'), size: 512, blockDevice: undefined },
    shared,
    new FlushFailure(shared, undefined),
  );
  Atomics.store(shared, FLUSHING, 1);
  const thread = new Worker(failingThread, { eval: true, workerData: shared });
  await new Promise((resolve) => thread.once('online', resolve));
  const operation: Operation = { type: FLUSH, position: 0, length: 0, first: 0, count: 0, unmap: false, error: 0 };
  carryOut(backend, [operation], new IoVector(1));
  assert.equal(operation.error, Errno.EIO);
});
