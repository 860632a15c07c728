import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checked, libc } from '../../../../src/sys/libc.js';
import { NativeBuffer } from '../../../../src/sys/memory.js';
import { ThreadPool } from '../../../../src/vduse/block/backends/thread-pool.js';

const RLIMIT_NOFILE = 7;
const getrlimit: (resource: number, limits: BigUint64Array) => number = libc.func(
  'int getrlimit(int resource, _Out_ uint64_t *limits)',
);
const setrlimit: (resource: number, limits: BigUint64Array) => number = libc.func(
  'int setrlimit(int resource, uint64_t *limits)',
);

const folder = mkdtempSync(join(tmpdir(), 'vdpa-thread-pool-'));
const path = join(folder, 'file');
writeFileSync(path, 'what the file contains');
const fd = openSync(path, 'r+');
const memory = new NativeBuffer(4096);
after(() => {
  memory.free();
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

/** Takes the results of so many operations, by tag. Blocks, as a data thread does: nothing needs the event loop. */
function results(pool: ThreadPool, count: number): Map<number, number> {
  const found = new Map<number, number>();
  const end = performance.now() + 30_000;
  while (found.size < count && performance.now() < end) {
    pool.waiter.wait(1000);
    pool.reap((tag, result) => found.set(tag, result));
  }
  return found;
}

/** This process can open no other file during a call. */
function withoutDescriptors(call: () => void): void {
  const limits = new BigUint64Array(2);
  checked('get the limit', getrlimit(RLIMIT_NOFILE, limits));
  const free = openSync('/dev/null', 'r');
  closeSync(free);
  checked('set it', setrlimit(RLIMIT_NOFILE, BigUint64Array.of(BigInt(free), limits[1] ?? 0n)));
  try {
    call();
  } finally {
    checked('restore it', setrlimit(RLIMIT_NOFILE, limits));
  }
}

test('threads that end before they work are an error, in place of operations that wait forever', () => {
  const pool = new ThreadPool(fd, 2000);
  withoutDescriptors(() => {
    pool.transfer(false, 0, memory.address, 22, 1);
    assert.throws(
      () => {
        pool.submit();
      },
      {
        name: 'VduseError',
        message:
          'No thread for operations on the file has started within 2 s: ' +
          'the server has no memory, threads or descriptors left, or its program files were removed',
      },
    );
  });
  const start = performance.now();
  pool.close();
  assert.ok(performance.now() - start < 5000, 'there is no thread to wait for');
});

test('threads that end before they work, beside one that does: it does everything', () => {
  const pool = new ThreadPool(fd);
  pool.transfer(false, 0, memory.address, 22, 0);
  pool.submit();
  assert.deepEqual([...results(pool, 1)], [[0, 22]]);
  withoutDescriptors(() => {
    for (let tag = 1; tag <= 100; tag++) pool.transfer(false, tag % 20, memory.address + tag, 2, tag);
    pool.submit();
    assert.deepEqual(
      [...results(pool, 100).values()],
      Array.from({ length: 100 }, () => 2),
    );
  });
  const start = performance.now();
  pool.close();
  assert.ok(performance.now() - start < 5000, 'only the thread that works is waited for');
});
