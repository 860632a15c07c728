import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { Errno } from '../../../../src/sys/errno.js';
import { DISCARD, FLUSH, READ, WRITE, WRITE_ZEROES } from '../../../../src/vduse/block/backend.js';
import { NbdDisk, type Action } from '../../../support/nbd-disk.js';
import { needsProgram, newPath, startNbdkit, type ServerProcess } from '../../../support/nbd-server.js';

const SIZE = 16 * 2 ** 20;
const MIB = 2 ** 20;
const isOption = (text: string): boolean => text.startsWith('--');

describe('a disk on nbdkit', needsProgram('nbdkit'), () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function serve(...argv: readonly string[]): Promise<ServerProcess> {
    const server = await startNbdkit(...argv);
    cleanups.push(() => server.kill());
    return server;
  }

  async function open(server: ServerProcess, options: Parameters<typeof NbdDisk.open>[1] = {}): Promise<NbdDisk> {
    const disk = await NbdDisk.open(server.uri, options);
    cleanups.push(() => disk.close());
    return disk;
  }

  /** A disk in a file, with filters and their arguments. */
  async function onFile(
    ...filters: readonly string[]
  ): Promise<{ path: string; disk: NbdDisk; server: ServerProcess }> {
    const path = newPath('disk');
    writeFileSync(path, '');
    truncateSync(path, SIZE);
    const server = await serve(...filters.filter(isOption), 'file', path, ...filters.filter((text) => !isOption(text)));
    return { path, server, disk: await open(server) };
  }

  test('has what the export offers', async () => {
    const { disk } = await onFile('--filter=blocksize-policy', 'blocksize-minimum=4096', 'blocksize-maximum=1M');
    const { size, replies, minimumBlock, maximumPayload } = disk.connections.export;
    assert.deepEqual([size, replies, minimumBlock, maximumPayload], [SIZE, 'structured', 4096, MIB]);
  });

  test('stores what is written: one request, many together, in many pieces of memory', async () => {
    const { path, disk } = await onFile();
    for (let at = 0; at < 8 * MIB; at++) disk.memory.u8[at] = (at * 7 + (at >> 12)) & 0xff;
    assert.deepEqual(await disk.do({ type: WRITE, position: 512, length: 512, from: 0 }), [0]);
    assert.deepEqual(readFileSync(path).subarray(512, 1024), Buffer.from(disk.memory.u8.slice(0, 512)));
    const many = Array.from({ length: 256 }, (_, index): Required<Omit<Action, 'unmap'>> => ({
      type: WRITE,
      position: index * 32768,
      length: 32768,
      from: index * 32768,
      piece: index % 2 === 0 ? 32768 : 1000,
    }));
    assert.ok((await disk.do(...many)).every((error) => error === 0));
    assert.deepEqual(await disk.do({ type: FLUSH }), [0]);
    const written = Buffer.from(disk.memory.u8.slice(0, 8 * MIB));
    assert.ok(
      readFileSync(path)
        .subarray(0, 8 * MIB)
        .equals(written),
    );
    disk.memory.u8.fill(0xee, 0, 16 * MIB);
    const reads = many.map((action): Action => ({ ...action, type: READ, from: action.from + 8 * MIB }));
    assert.ok((await disk.do(...reads)).every((error) => error === 0));
    assert.ok(Buffer.from(disk.memory.u8.slice(8 * MIB, 16 * MIB)).equals(written));
  });

  test('splits what is longer than the server accepts, or has too many pieces of memory', async () => {
    const { path, disk } = await onFile(
      '--filter=blocksize-policy',
      'blocksize-maximum=64K',
      'blocksize-error-policy=error',
    );
    for (let at = 0; at < 4 * MIB; at++) disk.memory.u8[at] = (at * 11 + (at >> 16)) & 0xff;
    const actions: Action[] = [
      { type: WRITE, position: 0, length: 3 * MIB, from: 0 },
      { type: WRITE, position: 3 * MIB, length: MIB, from: 3 * MIB, piece: 512 },
    ];
    assert.deepEqual(await disk.do(...actions), [0, 0]);
    assert.ok(
      readFileSync(path)
        .subarray(0, 4 * MIB)
        .equals(Buffer.from(disk.memory.u8.slice(0, 4 * MIB))),
    );
    assert.deepEqual(await disk.do({ type: READ, position: 0, length: 4 * MIB, from: 8 * MIB, piece: 777_777 }), [0]);
    assert.ok(
      Buffer.from(disk.memory.u8.slice(8 * MIB, 12 * MIB)).equals(Buffer.from(disk.memory.u8.slice(0, 4 * MIB))),
    );
  });

  test('discards and writes zeros, by the server or by hand', async () => {
    for (const filters of [[], ['--filter=nozero']]) {
      const { path, disk } = await onFile(...filters);
      disk.memory.u8.fill(0xaa, 0, 4 * MIB);
      assert.deepEqual(await disk.do({ type: WRITE, position: 0, length: 4 * MIB, from: 0 }), [0]);
      const zeroed: Action[] = [
        { type: WRITE_ZEROES, position: MIB, length: MIB + 512, unmap: true },
        { type: WRITE_ZEROES, position: 3 * MIB, length: 512, unmap: false },
        { type: DISCARD, position: 3 * MIB + 4096, length: 4096 },
      ];
      assert.deepEqual(await disk.do(...zeroed), [0, 0, 0]);
      const content = readFileSync(path);
      assert.ok(content.subarray(MIB, 2 * MIB + 512).every((byte) => byte === 0));
      assert.ok(content.subarray(3 * MIB, 3 * MIB + 512).every((byte) => byte === 0));
      assert.ok(content.subarray(2 * MIB + 512, 3 * MIB).every((byte) => byte === 0xaa));
    }
  });

  test('reports errors of the server, and goes on', async () => {
    const disk = await open(
      await serve('--filter=error', 'memory', '1M', 'error-pwrite=ENOSPC', 'error-pwrite-rate=100%'),
    );
    const actions: Action[] = [
      { type: WRITE, position: 0, length: 4096, from: 0 },
      { type: READ, position: 0, length: 4096, from: 0 },
    ];
    assert.deepEqual(await disk.do(...actions, ...actions), [Errno.ENOSPC, 0, Errno.ENOSPC, 0]);
  });

  test('a failed flush makes all later ones fail', async () => {
    const once = newPath('once');
    const flush = `flush=test -e ${once} && exit 0; touch ${once}; echo EIO failed >&2; exit 1`;
    const parts = [
      'get_size=echo 1048576',
      'can_flush=exit 0',
      flush,
      'pread=exit 1',
      'can_write=exit 0',
      'pwrite=cat >/dev/null',
    ];
    const disk = await open(await serve('eval', ...parts));
    assert.deepEqual(await disk.do({ type: FLUSH }), [Errno.EIO]);
    assert.deepEqual(await disk.do({ type: FLUSH }), [Errno.EIO]);
  });

  test('keeps to the blocks of the server', async () => {
    const { disk } = await onFile(
      '--filter=blocksize-policy',
      'blocksize-minimum=4096',
      'blocksize-error-policy=error',
    );
    const actions: Action[] = [
      { type: WRITE, position: 512, length: 4096, from: 0 },
      { type: READ, position: 0, length: 512, from: 0 },
      { type: DISCARD, position: 512, length: 4096 },
      { type: READ, position: SIZE, length: 4096, from: 0 },
      { type: READ, position: 4096, length: 4096, from: 0 },
    ];
    assert.deepEqual(await disk.do(...actions), [Errno.EIO, Errno.EIO, 0, Errno.EIO, 0]);
  });

  test('an export that does not exist, and a server that is not there, are errors at once', async () => {
    const server = await serve('--filter=exportname', 'memory', '1M', 'exportname-strict=true', 'exportname=disk');
    await assert.rejects(NbdDisk.open(server.uri), { message: /^The server refuses the export/ });
    await server.kill();
    await assert.rejects(NbdDisk.open(server.uri), { message: /^connect to \/.*: (No such file|Connection refused)/ });
    await assert.rejects(NbdDisk.open('nbd://127.0.0.1:1/'), {
      message: /^connect to 127.0.0.1:1: Connection refused/,
    });
    await assert.rejects(NbdDisk.open('nbd://does-not-exist.invalid/'), {
      message: /^The host does-not-exist.invalid was not found/,
    });
  });

  test('as many connections as threads, where the server permits it', async () => {
    for (const [mode, expected] of [
      ['emulate', 3],
      ['disable', 1],
    ] as const) {
      const disk = await open(await serve('--filter=multi-conn', 'memory', '1M', `multi-conn-mode=${mode}`), {
        threads: 3,
      });
      assert.equal(disk.connections.links.length, expected);
      assert.equal(disk.connections.status.count, expected);
    }
  });

  test('through TCP', async () => {
    const disk = await NbdDisk.open(await tcpServer());
    cleanups.push(() => disk.close());
    disk.memory.u8.fill(0x5a, 0, 4096);
    assert.deepEqual(await disk.do({ type: WRITE, position: 0, length: 4096, from: 0 }), [0]);
    assert.deepEqual(await disk.do({ type: READ, position: 0, length: 4096, from: 8192 }), [0]);
    assert.equal(disk.memory.u8[8192 + 4095], 0x5a);
  });

  /** An nbdkit behind a port that the kernel chooses. */
  async function tcpServer(): Promise<string> {
    const server = await serve('memory', '1M');
    const { createServer, connect } = await import('node:net');
    const proxy = createServer((one) => {
      const other = connect(server.socket);
      one.on('error', () => other.destroy()).pipe(other);
      other.on('error', () => one.destroy()).pipe(one);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => proxy.close(resolve)));
    const address = proxy.address();
    return `nbd://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`;
  }
});
