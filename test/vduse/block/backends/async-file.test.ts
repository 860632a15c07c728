/** What is special about a file whose operations are in flight together; see file-transfers.test.ts for the others. */
import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Errno } from '../../../../src/sys/errno.js';
import { IoVector } from '../../../../src/sys/io-vector.js';
import { directAlignment } from '../../../../src/sys/statx.js';
import { CANCELLED, DISCARD, FLUSH, READ, WRITE, type Operation } from '../../../../src/vduse/block/backend.js';
import { AsyncFileBackend } from '../../../../src/vduse/block/backends/async-file.js';
import { FlushFailure } from '../../../../src/vduse/block/backends/flush-failure.js';
import { carryOut } from '../../../support/block-operations.js';
import { asyncModes, openCarrier, whyNotDirect, whySkipped, type AsyncMode } from './carriers.js';
import { execute, memory, type Transfer } from './transfers.js';

const SIZE = 1.5 * 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'vdpa-async-file-'));
const path = join(folder, 'disk');
writeFileSync(path, '');
truncateSync(path, SIZE);
const notDirect = whyNotDirect();
after(() => {
  rmSync(folder, { recursive: true });
});

interface Options {
  readonly fd?: number;
  readonly direct?: number;
  readonly shared?: Int32Array;
  readonly blockDevice?: number;
}

function openFile(
  aio: AsyncMode,
  options: Options = {},
): { readonly backend: AsyncFileBackend; readonly close: () => void } {
  const fd = options.fd ?? openSync(path, constants.O_RDWR);
  const carrier = openCarrier(aio, fd);
  assert.ok(carrier);
  const failure = new FlushFailure(options.shared ?? new Int32Array(16), undefined);
  const opened = { fd, size: SIZE, blockDevice: options.blockDevice, direct: options.direct };
  const backend = new AsyncFileBackend(opened, carrier, failure);
  const close = (): void => {
    backend.close();
    closeSync(fd);
  };
  return { backend, close };
}

/** Opens the file for access without the page cache. */
function openDirect(aio: AsyncMode): ReturnType<typeof openFile> {
  const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
  const alignment = directAlignment(fd);
  assert.ok(alignment);
  return openFile(aio, { fd, direct: alignment.memory });
}

const flush = (): Operation => ({ type: FLUSH, position: 0, length: 0, first: 0, count: 0, unmap: false, error: -9 });

/** The threads of this process, without those of the kernel for its rings. */
function threads(): number {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'latin1');
    } catch {
      return 'iou-: it has ended';
    }
  });
  return names.filter((name) => !name.startsWith('iou-')).length;
}

for (const aio of asyncModes) {
  describe(`a file through ${aio}`, { skip: whySkipped(aio) }, () => {
    operationsInFlight(aio);
  });
}

function operationsInFlight(aio: AsyncMode): void {
  const open = (options?: Options): ReturnType<typeof openFile> => openFile(aio, options);

  test('memory that is not aligned: direct transfers go through memory that is', { skip: notDirect }, () => {
    const { backend, close } = openDirect(aio);
    for (let at = 0; at < SIZE; at++) memory.u8[at] = (at * 31) % 251;
    const from = 1;
    const errors = execute(backend, [
      { type: WRITE, position: 0, length: 4096, from },
      { type: WRITE, position: 8192, length: 65536, from, piece: 4095 },
      { type: WRITE, position: 131072, length: 4096, from: 4096 },
    ]);
    assert.deepEqual(errors, [0, 0, 0]);
    const file = readFileSync(path);
    assert.equal(Buffer.compare(file.subarray(0, 4096), memory.u8.subarray(from, from + 4096)), 0);
    assert.equal(Buffer.compare(file.subarray(8192, 8192 + 65536), memory.u8.subarray(from, from + 65536)), 0);
    assert.equal(Buffer.compare(file.subarray(131072, 131072 + 4096), memory.u8.subarray(4096, 8192)), 0);
    memory.u8.fill(0);
    const read = { type: READ, position: 8192, length: 65536, from: 3, piece: 1000 } as const;
    assert.deepEqual(execute(backend, [read, { type: READ, position: 0, length: 4096, from: 100_001 }]), [0, 0]);
    assert.equal(Buffer.compare(memory.u8.subarray(3, 3 + 65536), file.subarray(8192, 8192 + 65536)), 0);
    assert.equal(Buffer.compare(memory.u8.subarray(100_001, 100_001 + 4096), file.subarray(0, 4096)), 0);
    close();
  });

  test('more such memory than is permitted: transfers wait for it, and each gets its own', { skip: notDirect }, () => {
    const { backend, close } = openDirect(aio);
    for (let at = 0; at < SIZE; at++) memory.u8[at] = (at * 7) % 241;
    const whole = [
      { type: WRITE, position: 0, length: SIZE, from: 1 },
      { type: READ, position: 0, length: SIZE, from: SIZE + 513 },
    ] as const;
    for (const transfer of whole) assert.deepEqual(execute(backend, [transfer]), [0]);
    assert.equal(Buffer.compare(memory.u8.subarray(SIZE + 513, 2 * SIZE + 513), memory.u8.subarray(1, SIZE + 1)), 0);
    const halves = Array.from({ length: 40 }, (_, index): Transfer => ({
      type: WRITE,
      position: (index % 2) * (SIZE / 2),
      length: SIZE / 2,
      from: 1 + (index % 2) * (SIZE / 2),
    }));
    assert.ok(execute(backend, halves).every((error) => error === 0));
    assert.equal(Buffer.compare(readFileSync(path), memory.u8.subarray(1, SIZE + 1)), 0);
    close();
  });

  test('memory of the driver that is missing is the error of its request', () => {
    const { backend, close } = open();
    const vector = new IoVector(4);
    vector.push(4096, 512);
    vector.push(memory.address, 512);
    const operation = (first: number): Operation => ({
      ...{ type: READ, position: 0, length: 512, first, count: 1, unmap: false, error: -9 },
    });
    const operations = [operation(0), operation(1)];
    carryOut(backend, operations, vector);
    assert.deepEqual(
      operations.map(({ error }) => error),
      [Errno.EFAULT, 0],
    );
    vector.free();
    close();
  });

  test('flushes that come during one share the next', () => {
    const { backend, close } = open();
    const flushes = Array.from({ length: 10 }, flush);
    const done = carryOut(backend, flushes, new IoVector(1));
    assert.equal(done[0], flushes[0]);
    assert.equal(done.length, 10);
    assert.ok(flushes.every(({ error }) => error === 0));
    close();
  });

  test('a flush that succeeds while one of another thread fails is not called durable', () => {
    const shared = new Int32Array(16);
    const { backend, close } = open({ shared });
    const operation = flush();
    backend.submit(operation, new IoVector(1));
    new FlushFailure(shared, undefined).set(Errno.EIO);
    while (operation.error === -9) backend.reap(() => undefined);
    assert.equal(operation.error, Errno.EIO);
    close();
  });

  test('what was cancelled says so, and the backend goes on', () => {
    const { backend, close } = open();
    const first = flush();
    const waiting = flush();
    const vector = new IoVector(1);
    backend.submit(first, vector);
    backend.submit(waiting, vector);
    backend.transfers.cancel();
    const done: Operation[] = [];
    while (done.length < 2) backend.reap((operation) => void done.push(operation));
    assert.equal(waiting.error, CANCELLED);
    assert.ok(first.error === 0 || first.error === CANCELLED);
    assert.deepEqual(execute(backend, [{ type: FLUSH }, { type: READ, length: 512, from: 0 }]), [0, 0]);
    close();
  });

  test('many operations that are cancelled at once end, and each says how', () => {
    const { backend, close } = open();
    const vector = new IoVector(1000);
    const operations = Array.from({ length: 1000 }, (_, index): Operation => {
      vector.push(memory.address + index * 512, 512);
      return { type: WRITE, position: index * 512, length: 512, first: index, count: 1, unmap: false, error: -9 };
    });
    for (const operation of operations) backend.submit(operation, vector);
    const done = new Set<Operation>();
    backend.reap((operation) => void done.add(operation));
    backend.transfers.cancel();
    while (done.size < operations.length) backend.reap((operation) => void done.add(operation));
    assert.ok(operations.every(({ error }) => error === 0 || error === CANCELLED));
    vector.free();
    close();
  });

  test('a thread that sleeps is woken for each', () => {
    const { backend, close } = open();
    const vector = new IoVector(3);
    for (let entry = 0; entry < 3; entry++) vector.push(memory.address + entry * 4096, 4096);
    const left: Operation[] = Array.from({ length: 1500 }, (_, index) => {
      const type = index % 10 === 9 ? DISCARD : WRITE;
      const count = type === DISCARD ? 0 : 1;
      return { type, position: (index % 3) * 4096, length: 4096, first: index % 3, count, unmap: false, error: -9 };
    });
    let inFlight = 0;
    const begin = (): void => {
      const next = left.pop();
      if (next === undefined) return;
      backend.submit(next, vector);
      inFlight++;
    };
    for (let each = 0; each < 3; each++) begin();
    while (inFlight > 0) {
      backend.reap((operation) => {
        assert.equal(operation.error, 0);
        inFlight--;
        begin();
      });
      if (inFlight === 0) break;
      const begun = performance.now();
      backend.transfers.waiter.wait(30_000);
      // A signal wakes it too.
      assert.ok(performance.now() - begun < 20_000, `not woken with ${inFlight} in flight`);
    }
    vector.free();
    close();
  });

  test('a discard of a block device that only ioctl(2) knows goes to a thread', () => {
    // A file has no such operation, in any way: the error is that of ioctl(2).
    const { backend, close } = open({ blockDevice: 512 });
    const discard = { type: DISCARD, position: 0, length: 4096 } as const;
    assert.deepEqual(execute(backend, [discard, { type: READ, length: 512, from: 0 }, discard]), [
      Errno.ENOTTY,
      0,
      Errno.ENOTTY,
    ]);
    close();
  });

  test('its threads end with it', async () => {
    const before = threads();
    const { backend, close } = open();
    const ranges = Array.from({ length: 8 }, (_, index): Transfer => ({
      type: DISCARD,
      position: index * 4096,
      length: 4096,
    }));
    assert.ok(execute(backend, ranges).every((error) => error === 0));
    close();
    const end = performance.now() + 60_000;
    while (threads() > before) {
      assert.ok(performance.now() < end, `${threads() - before} threads are left`);
      await sleep(1);
    }
  });
}
