import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { AioQueue, IOCB_CMD_FDSYNC, IOCB_CMD_PREAD, IOCB_CMD_PREADV, IOCB_CMD_PWRITE } from '../../src/sys/aio.js';
import { Errno } from '../../src/sys/errno.js';
import { EPOLLIN, EventPoll } from '../../src/sys/events.js';
import { IoVector } from '../../src/sys/io-vector.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { directAlignment } from '../../src/sys/statx.js';

const BLOCK = 4096;
const BLOCKS = 64;
const folder = mkdtempSync(join(tmpdir(), 'vdpa-aio-'));
const path = join(folder, 'file');
writeFileSync(path, Buffer.concat(Array.from({ length: BLOCKS }, (_, block) => new Uint8Array(BLOCK).fill(block))));
const probed = AioQueue.open(1);
probed?.close();
const plain = openSync(path, 'r+');
const isDirect = directAlignment(plain) !== undefined;
after(() => {
  closeSync(plain);
  rmSync(folder, { recursive: true });
});

function openQueue(capacity: number): AioQueue {
  const queue = AioQueue.open(capacity);
  assert.ok(queue);
  return queue;
}

describe('a queue of asynchronous I/O', { skip: probed === undefined && 'this machine does not permit it' }, () => {
  const memory = new NativeBuffer(BLOCKS * BLOCK);

  test('takes more than the kernel has space for: the rest begins later', (context) => {
    const fd = isDirect ? openSync(path, constants.O_RDWR | constants.O_DIRECT) : plain;
    if (!isDirect) context.diagnostic(`no direct access to files of ${tmpdir()}`);
    const queue = openQueue(4);
    const count = 5000;
    memory.u8.fill(0xff);
    for (let tag = 0; tag < count; tag++) {
      const block = tag % BLOCKS;
      queue.push(IOCB_CMD_PREAD, fd, memory.address + block * BLOCK, BLOCK, block * BLOCK, tag);
    }
    const done = new Set<number>();
    while (done.size < count) {
      queue.submit();
      queue.reap((tag, result) => {
        assert.equal(result, BLOCK);
        assert.ok(!done.has(tag), `${tag} is done twice`);
        done.add(tag);
      });
    }
    assert.deepEqual([queue.hasCompletions, queue.hasUnsubmitted], [false, false]);
    for (let block = 0; block < BLOCKS; block++) {
      assert.deepEqual([memory.u8[block * BLOCK], memory.u8[block * BLOCK + BLOCK - 1]], [block, block]);
    }
    queue.close();
    if (fd !== plain) closeSync(fd);
  });

  test('reports an operation that the kernel rejects, and begins those after it', () => {
    const queue = openQueue(4);
    const vector = new IoVector(2);
    vector.push(memory.address, 100);
    vector.push(memory.address + 100, 28);
    const results = new Map<number, number>();
    queue.push(IOCB_CMD_PREAD, plain, memory.address, 100, 0, 10);
    queue.push(IOCB_CMD_PREAD, -1, memory.address, 100, 0, 11);
    queue.push(99, plain, memory.address, 100, 0, 12);
    queue.push(IOCB_CMD_PREADV, plain, vector.at(0), 2, 0, 13);
    queue.push(IOCB_CMD_PWRITE, plain, 8, 100, 0, 14);
    queue.push(IOCB_CMD_PREAD, plain, memory.address, 100, BLOCKS * BLOCK - 7, 15);
    while (results.size < 6) {
      queue.submit();
      queue.reap((tag, result) => void results.set(tag, result));
    }
    assert.deepEqual(
      [...results].sort(([one], [other]) => one - other),
      [
        [10, 100],
        [11, -Errno.EBADF],
        [12, -Errno.EINVAL],
        [13, 128],
        [14, -Errno.EFAULT],
        [15, 7],
      ],
    );
    vector.free();
    queue.close();
  });

  test('signals its eventfd when a flush is done', () => {
    const queue = openQueue(1);
    const poll = new EventPoll();
    poll.add(queue.eventfd, EPOLLIN, 0);
    queue.push(IOCB_CMD_FDSYNC, plain, 0, 0, 0, 1);
    queue.submit();
    const end = performance.now() + 60_000;
    for (poll.count = 0; poll.count === 0 && performance.now() < end;) poll.wait(1000);
    const results: number[] = [];
    queue.reap((_, result) => void results.push(result));
    assert.deepEqual(results, [0]);
    poll.close();
    queue.close();
  });
});
