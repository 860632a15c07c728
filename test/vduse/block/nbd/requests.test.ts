import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as nbd from '../../../../src/nbd/protocol.js';
import { Errno } from '../../../../src/sys/errno.js';
import { DISCARD, FLUSH, READ, WRITE, WRITE_ZEROES } from '../../../../src/vduse/block/backend.js';
import { NbdDisk, type Action } from '../../../support/nbd-disk.js';
import { ALL_FLAGS, MemoryServer, type Exported } from '../../../support/nbd-memory-server.js';
import type { FakeRequest } from '../../../support/nbd-server.js';

const KIB = 1024;

describe('what a server is asked for', () => {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function open(
    exported: Partial<Exported>,
    options: Parameters<typeof NbdDisk.open>[1] = {},
    wait?: (request: FakeRequest) => Promise<unknown>,
  ) {
    const server = new MemoryServer(exported, wait);
    server.start();
    cleanups.push(() => {
      server.kill();
    });
    const disk = await NbdDisk.open(server.uri, options);
    cleanups.push(() => disk.close());
    /** The requests since the last call: command, flags, position and length. */
    const asked = (): (readonly number[])[] =>
      server.requests.splice(0).map(({ command, flags, position, length }) => [command, flags, position, length]);
    return { server, disk, asked };
  }

  const write: Action = { type: WRITE, position: 4096, length: 4096, from: 0 };
  const others: readonly Action[] = [
    { type: WRITE_ZEROES, position: 8192, length: 512, unmap: false },
    { type: WRITE_ZEROES, position: 8192, length: 512, unmap: true },
    { type: DISCARD, position: 4096, length: 1024 },
    { type: READ, position: 0, length: 512, from: 4096 },
    { type: FLUSH },
  ];

  for (const form of ['simple', 'structured', 'extended'] as const) {
    test(`data is stored and comes back, in ${form} replies`, async () => {
      const { server, disk } = await open({ form });
      for (let at = 0; at < 1024 * KIB; at++) disk.memory.u8[at] = (at * 7 + (at >> 12)) & 0xff;
      const pieces = Array.from({ length: 64 }, (_, index) => index * 16 * KIB);
      const place = (position: number): Action => ({ type: WRITE, position, length: 16 * KIB, from: position });
      const writes = pieces.map((position, index) => ({
        ...place(position),
        piece: index % 2 === 0 ? 1000 : 16 * KIB,
      }));
      assert.ok((await disk.do(...writes)).every((error) => error === 0));
      const written = Buffer.from(disk.memory.u8.slice(0, 1024 * KIB));
      assert.ok(server.content.subarray(0, 1024 * KIB).equals(written));
      const reads = writes.map((action): Action => ({ ...action, type: READ }));
      disk.memory.u8.fill(0, 0, 1024 * KIB);
      assert.ok((await disk.do(...reads)).every((error) => error === 0));
      assert.ok(Buffer.from(disk.memory.u8.slice(0, 1024 * KIB)).equals(written));
    });
  }

  test('with a cache: no write is forced out, until a flush', async () => {
    const { disk, asked } = await open({});
    await disk.do(write, ...others);
    assert.deepEqual(asked(), [
      [nbd.CMD_WRITE, 0, 4096, 4096],
      [nbd.CMD_WRITE_ZEROES, nbd.CMD_FLAG_NO_HOLE, 8192, 512],
      [nbd.CMD_WRITE_ZEROES, 0, 8192, 512],
      [nbd.CMD_TRIM, 0, 4096, 1024],
      [nbd.CMD_READ, 0, 0, 512],
      [nbd.CMD_FLUSH, 0, 0, 0],
    ]);
  });

  test('FUA: with "cache writethrough" each change has it, and a flush has nothing to do', async () => {
    const { disk, asked } = await open({}, { writesThrough: true });
    assert.deepEqual(await disk.do(write, ...others), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(asked(), [
      [nbd.CMD_WRITE, nbd.CMD_FLAG_FUA, 4096, 4096],
      [nbd.CMD_WRITE_ZEROES, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE, 8192, 512],
      [nbd.CMD_WRITE_ZEROES, nbd.CMD_FLAG_FUA, 8192, 512],
      [nbd.CMD_TRIM, nbd.CMD_FLAG_FUA, 4096, 1024],
      [nbd.CMD_READ, 0, 0, 512],
    ]);
  });

  test('FUA: a server without it is asked to flush instead', async () => {
    const { disk, asked } = await open({ flags: ALL_FLAGS & ~nbd.FLAG_SEND_FUA }, { writesThrough: true });
    assert.deepEqual(await disk.do(write, { type: FLUSH }), [0, 0]);
    assert.deepEqual(asked(), [
      [nbd.CMD_WRITE, 0, 4096, 4096],
      [nbd.CMD_FLUSH, 0, 0, 0],
    ]);
  });

  test('nothing that the export does not offer: zeros are sent, discards and flushes do nothing', async () => {
    const { server, disk, asked } = await open({ flags: nbd.FLAG_HAS_FLAGS });
    server.content.fill(0xaa);
    assert.deepEqual(await disk.do(...others), [0, 0, 0, 0, 0]);
    assert.deepEqual(asked(), [
      [nbd.CMD_WRITE, 0, 8192, 512],
      [nbd.CMD_WRITE, 0, 8192, 512],
      [nbd.CMD_READ, 0, 0, 512],
    ]);
    assert.ok(server.content.subarray(8192, 8704).every((byte) => byte === 0));
    assert.equal(server.content[8704], 0xaa);
  });

  test('no more than the maximum payload, in whole blocks; what is not in whole blocks is an error', async () => {
    const { disk, asked } = await open({ blocks: [4096, 4096, 8192] });
    assert.deepEqual(await disk.do({ ...write, position: 0, length: 20 * KIB, piece: 1024 }), [0]);
    assert.deepEqual(asked(), [
      [nbd.CMD_WRITE, 0, 0, 8192],
      [nbd.CMD_WRITE, 0, 8192, 8192],
      [nbd.CMD_WRITE, 0, 16384, 4096],
    ]);
    assert.deepEqual(
      await disk.do(
        { ...write, position: 512 },
        { ...write, length: 512 },
        { type: DISCARD, position: 512, length: 8192 },
      ),
      [Errno.EIO, Errno.EIO, 0],
    );
    assert.deepEqual(asked(), [[nbd.CMD_TRIM, 0, 4096, 4096]]);
  });

  test('nothing after the end of the export', async () => {
    const { server, disk, asked } = await open({});
    const position = server.content.length - 512;
    assert.deepEqual(await disk.do({ ...write, position, length: 1024 }, { type: DISCARD, position, length: 1024 }), [
      Errno.EIO,
      0,
    ]);
    assert.deepEqual(asked(), [[nbd.CMD_TRIM, 0, position, 512]]);
  });

  test('requests are done as they come: a fast one does not wait for a slow one', async () => {
    let answerWrite = (): void => undefined;
    const { disk } = await open({}, {}, ({ command }) =>
      command === nbd.CMD_WRITE
        ? new Promise<void>((resolve) => {
            answerWrite = resolve;
          })
        : Promise.resolve(),
    );
    const slow = disk.begin(write);
    assert.deepEqual(await disk.do({ type: READ, position: 0, length: 512, from: 4096 }), [0]);
    answerWrite();
    assert.deepEqual(await disk.finish(slow), [0]);
  });

  test('at the end the server is told, and all connections are closed', { timeout: 60_000 }, async () => {
    const { server, disk } = await open({});
    assert.equal(await disk.close(), true);
    cleanups.pop();
    while (server.requests.length === 0) await setImmediate();
    assert.deepEqual(
      server.requests.map(({ command }) => command),
      [nbd.CMD_DISC],
    );
  });
});
