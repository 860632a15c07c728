import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Blkio, LIBBLKIO } from '../support/kernel/drivers/libblkio.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, detach, giveToVhost } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE, LIBBLKIO);

const PATH = '/tmp/blkio.img';
const KIB = 1024;
const BYTES = 2 * KIB * KIB;
const QUEUES = 2;
const DEPTH = 32;
const PIECE = BYTES / QUEUES / DEPTH;

describe('libblkio drives a VDUSE disk through vhost-vdpa', () => {
  test('reads and writes all of it on two queues, 32 requests at a time; zeros, discards, flushes', async (context) => {
    const before = randomBytes(BYTES);
    writeFileSync(PATH, before);
    const server = await ServerProcess.start({
      name: 'blkio0',
      backend: { type: 'file', path: PATH },
      queues: QUEUES,
      threads: QUEUES,
    });
    let user: Blkio | undefined;
    context.after(async () => {
      // The kernel does not delete a device whose node is open.
      user?.close();
      await detach('blkio0');
      await server.stop();
    });
    await attach('blkio0');
    const disk = (user = new Blkio(await giveToVhost('blkio0'), QUEUES, BYTES));
    assert.equal(disk.capacity, BigInt(BYTES));
    const well = new Array<number>(DEPTH).fill(0);

    /** Each queue handles half of the disk, with {@link DEPTH} requests at a time. */
    const each = (request: (queue: number, start: number, length: number) => void): void => {
      for (let index = 0; index < QUEUES * DEPTH; index++) request(index % QUEUES, index * PIECE, PIECE);
      for (let queue = 0; queue < QUEUES; queue++) assert.deepEqual(disk.done(queue, DEPTH), well);
    };
    each(disk.read.bind(disk));
    assert.ok(before.equals(disk.buffer), 'the data read is not what is on the disk');

    const after = randomBytes(BYTES);
    for (let round = 0; round < 8; round++) {
      after.set(randomBytes(BYTES / 4), (round % 4) * (BYTES / 4));
      disk.buffer.set(after);
      each(disk.write.bind(disk));
      disk.flush(0);
      assert.deepEqual(disk.done(0, 1), [0]);
      assert.ok(readFileSync(PATH).equals(after), 'the data in the file is not what was written');
      disk.buffer.fill(0);
      each(disk.read.bind(disk));
      assert.ok(after.equals(disk.buffer), 'the data read is not what was written');
    }

    disk.writeZeros(1, 0, 64 * KIB);
    disk.discard(1, 128 * KIB, 64 * KIB);
    assert.deepEqual(disk.done(1, 2), [0, 0]);
    assert.ok(
      readFileSync(PATH)
        .subarray(0, 64 * KIB)
        .equals(Buffer.alloc(64 * KIB)),
    );
    disk.read(0, 0, 64 * KIB);
    disk.read(1, 64 * KIB, 64 * KIB);
    assert.deepEqual([...disk.done(0, 1), ...disk.done(1, 1)], [0, 0]);
    assert.ok(Buffer.from(disk.buffer.subarray(0, 64 * KIB)).equals(Buffer.alloc(64 * KIB)));
    assert.ok(after.subarray(64 * KIB, 128 * KIB).equals(disk.buffer.subarray(64 * KIB, 128 * KIB)));

    const { queues } = await server.device('blkio0');
    assert.deepEqual(
      queues.map(({ errors }) => errors),
      [0, 0],
    );
    assert.ok(queues.every(({ requests }) => requests >= 17 * DEPTH));
  });
});
