import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import * as nbd from '../../../../src/nbd/protocol.js';
import { Storage, type OpenOptions } from '../../../../src/vduse/block/storage.js';
import { ALL_FLAGS, MemoryServer, type Exported } from '../../../support/nbd-memory-server.js';

const MIB = 2 ** 20;
const wanted: OpenOptions = { blockSize: undefined, readonly: false, threads: 1 };

describe('what a disk has of its export', () => {
  const servers: MemoryServer[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.kill();
  });

  async function open(
    exported: Partial<Exported>,
    options: Partial<OpenOptions> = {},
    cache?: 'writeback' | 'writethrough',
  ): Promise<Storage> {
    const server = new MemoryServer({ size: MIB, ...exported });
    servers.push(server);
    server.start();
    return Storage.open({ type: 'nbd', uri: server.uri, ...(cache && { cache }) }, { ...wanted, ...options });
  }

  async function facts(...parts: Parameters<typeof open>) {
    const storage = await open(...parts);
    const { size, readonly, hasCache, threads, blocks } = storage;
    assert.equal(await storage.close(), true);
    return { size, readonly, hasCache, threads, logical: blocks.logical };
  }

  const usual = { size: MIB, readonly: false, hasCache: true, threads: 1, logical: 512 };

  test('its size, in whole blocks', async () => {
    assert.deepEqual(await facts({}), usual);
    assert.deepEqual(await facts({ size: MIB + 700 }), { ...usual, size: MIB + 512 });
  });

  test('its blocks; larger ones if they are asked for', async () => {
    assert.deepEqual(await facts({ blocks: [4096, 4096, 65536] }), { ...usual, logical: 4096 });
    assert.deepEqual(await facts({}, { blockSize: 4096 }), { ...usual, logical: 4096 });
  });

  test('read-only, if either end is', async () => {
    assert.deepEqual(await facts({ flags: ALL_FLAGS | nbd.FLAG_READ_ONLY }), { ...usual, readonly: true });
    assert.deepEqual(await facts({}, { readonly: true }), { ...usual, readonly: true });
  });

  test('a write cache, if it can be flushed and is wanted', async () => {
    assert.deepEqual(await facts({ flags: ALL_FLAGS & ~nbd.FLAG_SEND_FLUSH }), { ...usual, hasCache: false });
    assert.deepEqual(await facts({}, {}, 'writethrough'), { ...usual, hasCache: false });
  });

  test('a thread for each connection that the server permits', async () => {
    assert.deepEqual(await facts({}, { threads: 2 }), { ...usual, threads: 2 });
    const flags = ALL_FLAGS & ~nbd.FLAG_CAN_MULTI_CONN;
    assert.deepEqual(await facts({ flags }, { threads: 2 }), usual);
    await assert.rejects(open({ flags }, { threads: 2, threadsGiven: true }), {
      name: 'DeviceOptionError',
      message: /one connection only: "threads" must be 1/,
    });
  });

  test('rejected: blocks that are too large, and no block at all', async () => {
    const rejected: readonly [Partial<Exported>, Partial<OpenOptions>, RegExp][] = [
      [{ blocks: [8192, 8192, 65536] }, {}, /blocks of 8192 bytes: more than 4096 are not supported/],
      [{ blocks: [4096, 4096, 65536] }, { blockSize: 512 }, /block_size 512 is not supported, use block_size 4096/],
      [{ size: 100 }, {}, /has 100 bytes: less than a block/],
    ];
    for (const [exported, options, message] of rejected) {
      await assert.rejects(open(exported, options), { name: 'DeviceOptionError', message });
    }
  });
});
