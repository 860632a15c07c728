/** How the way to access a file is chosen. */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checked } from '../../../src/sys/libc.js';
import { ftruncate, memfdCreate } from '../../../src/sys/file.js';
import { openAccess, type AccessOptions, type AvailableAio } from '../../../src/vduse/block/file-access.js';
import { DeviceOptionError } from '../../../src/vduse/spec/error.js';
import { whyNotDirect } from './backends/carriers.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-file-access-'));
const path = join(folder, 'disk');
writeFileSync(path, '');
truncateSync(path, 65536);
const fd = openSync(path, 'r+');
const logicalBlock = 4096;
const onDisk = { fd, path, logicalBlock };
const memoryFile = checked('create a memory file', memfdCreate('disk', 1));
checked('set its size', ftruncate(memoryFile, 65536));
const inMemory = { fd: memoryFile, path: '/dev/shm/disk', logicalBlock };
after(() => {
  closeSync(fd);
  closeSync(memoryFile);
  rmSync(folder, { recursive: true });
});

const machine = (ioUring: boolean, native: boolean): AvailableAio => ({ ioUring: () => ioUring, native: () => native });
const everything = machine(true, true);

function choose(
  file: typeof onDisk,
  wanted: Partial<Pick<AccessOptions, 'cache' | 'aio'>>,
  available = everything,
): [string, string] {
  const { cache, aio, direct, fds } = openAccess(
    file,
    { cache: undefined, aio: undefined, readonly: false, threads: 2, ...wanted },
    available,
  );
  assert.equal(fds.length, 2);
  assert.equal(new Set(fds.map((each) => readlinkSync(`/proc/self/fd/${each}`))).size, 1);
  for (const each of fds) closeSync(each);
  assert.equal(direct !== undefined, cache === 'none');
  return [cache, aio];
}

const skip = whyNotDirect();

describe('access to a file', () => {
  test('without the page cache: io_uring, else Linux AIO, else threads', { skip }, () => {
    assert.deepEqual(choose(onDisk, {}), ['none', 'io_uring']);
    assert.deepEqual(choose(onDisk, {}, machine(false, true)), ['none', 'native']);
    assert.deepEqual(choose(onDisk, {}, machine(false, false)), ['none', 'threads']);
  });

  test('through the page cache: io_uring, else threads', () => {
    for (const cache of ['writeback', 'writethrough'] as const) {
      assert.deepEqual(choose(onDisk, { cache }), [cache, 'io_uring']);
      assert.deepEqual(choose(onDisk, { cache }, machine(false, true)), [cache, 'threads']);
    }
  });

  test('in memory: one transfer after another', () => {
    assert.deepEqual(choose(inMemory, {}), ['writeback', 'sync']);
    assert.deepEqual(choose(inMemory, {}, machine(false, false)), ['writeback', 'sync']);
  });

  test('as it is asked for', () => {
    for (const aio of ['io_uring', 'threads', 'sync'] as const) {
      assert.deepEqual(choose(inMemory, { aio }), ['writeback', aio]);
      assert.deepEqual(choose(onDisk, { aio, cache: 'writethrough' }), ['writethrough', aio]);
    }
    assert.deepEqual(choose(onDisk, { aio: 'sync' }), ['writeback', 'sync']);
  });

  test('as it is asked for, without the page cache', { skip }, () => {
    for (const aio of ['io_uring', 'native', 'threads'] as const) {
      assert.deepEqual(choose(onDisk, { aio }), ['none', aio]);
      assert.deepEqual(choose(onDisk, { aio, cache: 'none' }), ['none', aio]);
    }
  });

  test('as it is not possible: an error says why, and nothing stays open', () => {
    const refused: [typeof onDisk, Parameters<typeof choose>[1], AvailableAio, string][] = [
      [
        onDisk,
        { aio: 'io_uring' },
        machine(false, true),
        '"aio io_uring" is not permitted here, or not supported by this kernel: see kernel.io_uring_disabled',
      ],
      [
        onDisk,
        { aio: 'native', cache: 'none' },
        machine(true, false),
        '"aio native" is not permitted here, not supported by this kernel, or exhausted: see fs.aio-max-nr',
      ],
      [
        onDisk,
        { aio: 'native', cache: 'writeback' },
        everything,
        '"aio native" requires "cache none", not "cache writeback"',
      ],
      [
        inMemory,
        { aio: 'native' },
        everything,
        '"aio native" requires "cache none", which is not supported by /dev/shm/disk: its file system does not support direct access',
      ],
      [
        inMemory,
        { cache: 'none' },
        everything,
        '"cache none" is not supported by /dev/shm/disk: its file system does not support direct access',
      ],
      [
        onDisk,
        { aio: 'sync', cache: 'none' },
        everything,
        '"cache none" is not supported with "aio sync": try "aio threads"',
      ],
    ];
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (const [file, wanted, available, message] of refused) {
      assert.throws(
        () => choose(file, wanted, available),
        (error) => error instanceof DeviceOptionError && error.message === message,
        message,
      );
    }
    assert.equal(descriptors(), before);
  });

  test('of blocks smaller than those of the disk: through the page cache', { skip }, () => {
    const small = { ...onDisk, logicalBlock: 1 };
    assert.deepEqual(choose(small, {}), ['writeback', 'io_uring']);
    assert.throws(
      () => choose(small, { cache: 'none' }),
      /^DeviceOptionError: "cache none" .*: its blocks have \d+ bytes/,
    );
  });
});
