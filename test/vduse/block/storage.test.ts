import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from '../../../src/virtio/block.js';
import { serveBlockDevice } from '../../../src/vduse/block/device.js';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import { createDataPlane } from '../../../src/vduse/block/module.js';
import { Storage } from '../../../src/vduse/block/storage.js';
import { MORE, WAIT } from '../../../src/vduse/engine/data-plane.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-storage-'));
after(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, size: number): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}

const context = {
  queueCount: 1,
  queueSize: 8,
  queues: [0],
  ordered: true,
  shared: new Int32Array(16),
  watch: () => undefined,
};

/** Makes a data plane on a storage carry out one request of one sector. @returns its status, and the data */
async function transfer(storage: Storage, type: number, data: Uint8Array): Promise<[number | undefined, Uint8Array]> {
  const plane = await createDataPlane({ limits: blockLimits(storage, 's'), backend: storage.backend }, context);
  const { queue, driver, data: memory } = setUpDeviceQueue({ native: true });
  plane.start(0n);
  memory.u8.fill(0, 0, 16);
  memory.u8[0] = type;
  memory.u8.set(data, 512);
  driver.offer(
    driver.chain([
      { iova: DATA, length: 16 },
      { iova: DATA + 512, length: 512, writable: type === VIRTIO_BLK_T_IN },
      { iova: DATA + 1024, length: 1, writable: true },
    ]),
  );
  let served = plane.serve(queue);
  while (served === MORE) served = plane.serve(queue);
  assert.equal(served, WAIT);
  while (plane.transfers !== undefined && plane.transfers.count > 0) plane.transfers.reap();
  plane.close();
  return [memory.u8[1024], memory.u8.slice(512, 1024)];
}

const sector = new Uint8Array(512).map((_, index) => index % 256);
const blank = new Uint8Array(512);

describe('storage', () => {
  test('in memory: one thread reads what another writes', async () => {
    const storage = await Storage.open(
      { type: 'ram', size: 8192 },
      { blockSize: undefined, readonly: false, threads: 1 },
    );
    assert.deepEqual([storage.size, storage.readonly, storage.file, storage.stalledMs], [8192, false, undefined, 0]);
    assert.deepEqual((await transfer(storage, VIRTIO_BLK_T_OUT, sector))[0], 0);
    assert.deepEqual(await transfer(storage, VIRTIO_BLK_T_IN, blank), [0, sector]);
    assert.equal(await storage.close(), true);
  });

  test('nowhere: what is written is discarded', async () => {
    const storage = await Storage.open({ type: 'null' }, { blockSize: undefined, readonly: false, threads: 1 });
    assert.equal((await transfer(storage, VIRTIO_BLK_T_OUT, sector))[0], 0);
    assert.deepEqual(await transfer(storage, VIRTIO_BLK_T_IN, sector), [0, blank]);
    assert.equal(await storage.close(), true);
  });

  test('in a module: it gets its options', async () => {
    const module = join(folder, 'backend.mjs');
    writeFileSync(
      module,
      `export const createBlockBackend = ({ error }, { queueSize }) => ({
        submitted: [],
        submit(operation) { this.submitted.push(Object.assign(operation, { error: error * queueSize })); },
        reap(done) { this.submitted.splice(0).forEach(done); },
        close() {},
      });`,
    );
    const storage = await Storage.open(
      { type: 'module', module, options: { error: 1 }, size: 512 },
      { blockSize: undefined, readonly: false, threads: 1 },
    );
    assert.equal((await transfer(storage, VIRTIO_BLK_T_OUT, sector))[0], 1);
    assert.equal(await storage.close(), true);
  });

  test('in a file: it has the size of the file, and the data is in the file', async () => {
    const storage = await Storage.open(
      { type: 'file', path: file('disk', 4096) },
      { blockSize: undefined, readonly: false, threads: 1 },
    );
    assert.equal(storage.size, 4096);
    assert.equal((await transfer(storage, VIRTIO_BLK_T_OUT, sector))[0], 0);
    assert.deepEqual(await transfer(storage, VIRTIO_BLK_T_IN, blank), [0, sector]);
    assert.equal(await storage.close(), true);
  });

  test('of a size that is not a multiple of its block size is rejected before anything is opened', async () => {
    const rejected = { name: 'DeviceOptionError' };
    await assert.rejects(
      Storage.open({ type: 'ram', size: 4096 + 512 }, { blockSize: 4096, readonly: false, threads: 1 }),
      rejected,
    );
    await assert.rejects(
      Storage.open({ type: 'null', size: 0 }, { blockSize: undefined, readonly: false, threads: 1 }),
      rejected,
    );
    await assert.rejects(
      Storage.open(
        { type: 'file', path: '/nowhere', size: 513 },
        { blockSize: undefined, readonly: false, threads: 1 },
      ),
      rejected,
    );
  });
});

describe('a file that cannot be a disk', () => {
  mkdirSync(join(folder, 'directory'));
  const cases: readonly (readonly [string, string, object, number?])[] = [
    ['is missing', join(folder, 'missing'), { name: 'SystemError', code: 'ENOENT' }],
    ['is a directory', join(folder, 'directory'), { name: 'SystemError', code: 'EISDIR' }],
    ['is a character device', '/dev/null', { name: 'DeviceOptionError', message: /\/dev\/null/ }],
    ['is empty', file('empty', 0), { name: 'DeviceOptionError', message: /empty/ }],
    ['ends within a block', file('odd', 1000), { name: 'DeviceOptionError', message: /1000.*512/s }],
    ['is smaller than the device', file('small', 4096), { name: 'DeviceOptionError', message: /4096.*8192/s }, 8192],
  ];
  for (const [what, path, error, size] of cases) {
    test(`because it ${what}`, async () => {
      await assert.rejects(
        Storage.open(
          { type: 'file', path, ...(size !== undefined && { size }) },
          { blockSize: undefined, readonly: false, threads: 1 },
        ),
        error,
      );
    });
  }

  test('because another server has it; two that only read share it', async () => {
    const path = file('shared', 4096);
    const writer = await Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: false, threads: 1 });
    await assert.rejects(Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: true, threads: 1 }), {
      name: 'SystemError',
      code: 'EAGAIN',
    });
    await writer.close();
    const readers = [
      await Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: true, threads: 1 }),
      await Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: true, threads: 1 }),
    ];
    await assert.rejects(Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: false, threads: 1 }), {
      code: 'EAGAIN',
    });
    for (const reader of readers) await reader.close();
  });
});

test('the size of a file is checked while it is served: growth and truncation are reported', async () => {
  const path = file('grows', 4096);
  const storage = await Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: false, threads: 1 });
  const lengths: number[] = [];
  await new Promise<void>((resolve) => {
    storage.file?.follow((length) => {
      lengths.push(length);
      if (length === 4096) truncateSync(path, 8192);
      if (length === 8192) truncateSync(path, 512);
      if (length === 512) resolve();
    });
  });
  assert.deepEqual([...new Set(lengths)], [4096, 8192, 512]);
  assert.equal(await storage.close(), true);
});

test('a device that cannot be created releases its file', { skip: hasVduse() }, async () => {
  const path = file('left', 4096);
  const options = { name: 'unit0', backend: { type: 'file', path } } as const;
  await assert.rejects(serveBlockDevice(options), { name: 'SystemError' });
  await assert.rejects(serveBlockDevice({ ...options, name: 'a/b' }), { name: 'DeviceNameError' });
  await assert.rejects(serveBlockDevice({ ...options, queues: 0 }), { name: 'DeviceOptionError' });
  await assert.rejects(serveBlockDevice({ ...options, serial: 'x'.repeat(21) }), { name: 'DeviceOptionError' });
  const storage = await Storage.open({ type: 'file', path }, { blockSize: undefined, readonly: false, threads: 1 });
  await storage.close();
});

/** On a machine with VDUSE the device would be created. */
function hasVduse(): string | false {
  return existsSync('/dev/vduse/control') && 'this machine has VDUSE';
}
