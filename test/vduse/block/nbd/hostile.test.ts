import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, test } from 'node:test';
import * as nbd from '../../../../src/nbd/protocol.js';
import { Errno } from '../../../../src/sys/errno.js';
import { READ, WRITE, type OperationType } from '../../../../src/vduse/block/backend.js';
import { bytes, chunk, extendedChunk, greeting, optionReply, simpleReply } from '../../../support/nbd-bytes.js';
import { NbdDisk } from '../../../support/nbd-disk.js';
import { answer as proper, negotiate as agree } from '../../../support/nbd-memory-server.js';
import { FakeServer, type FakeConnection, type FakeRequest } from '../../../support/nbd-server.js';

const SIZE = 2 ** 20;
const FLAGS = nbd.FLAG_HAS_FLAGS | nbd.FLAG_SEND_FLUSH | nbd.FLAG_SEND_FUA;

const negotiate = (connection: FakeConnection, form: nbd.ReplyForm): Promise<void> =>
  agree(connection, { size: SIZE, flags: FLAGS, form });

describe('an NBD server that sends what it likes', () => {
  let server: FakeServer | undefined;
  let disk: NbdDisk | undefined;
  afterEach(async () => {
    await disk?.close();
    disk = undefined;
    server?.close();
    server = undefined;
  });

  /** Answers requests of the first connection with a function, and those of the next ones properly. */
  async function openOn(
    form: nbd.ReplyForm,
    answer: (connection: FakeConnection, request: FakeRequest) => void | Promise<void>,
    options: Parameters<typeof NbdDisk.open>[1] = {},
  ): Promise<NbdDisk> {
    server = new FakeServer(async (connection, index) => {
      await negotiate(connection, form);
      for (;;) {
        const request = await connection.request(form === 'extended');
        if (request.command === nbd.CMD_DISC) return;
        const isRead = request.command === nbd.CMD_READ;
        if (request.command === nbd.CMD_WRITE && index > 0) await connection.read(request.length);
        if (index === 0) await answer(connection, request);
        else connection.send(proper(form, request, isRead ? Buffer.alloc(request.length, 0x77) : Buffer.alloc(0)));
      }
    });
    disk = await NbdDisk.open(server.uri, options);
    return disk;
  }

  const position = (at: number): Buffer => bytes([64, at]);
  const data = (at: number, length: number): Buffer => Buffer.concat([position(at), Buffer.alloc(length, 0x66)]);

  /** A read of 4096 bytes at 8192 is answered wrongly; the connection is made again, and the read with it. */
  const wrong: readonly [string, nbd.ReplyForm, (request: FakeRequest) => Uint8Array, RegExp][] = [
    ['an unknown cookie', 'simple', () => simpleReply(0xdead_beef_0000_0005n, 0, Buffer.alloc(4096)), /not made/],
    ['a cookie of an earlier request', 'simple', ({ cookie }) => simpleReply(cookie - (1n << 32n)), /not made/],
    [
      'two answers',
      'simple',
      ({ cookie }) => Buffer.concat([simpleReply(cookie, 5), simpleReply(cookie, 5)]),
      /not made/,
    ],
    [
      'a simple reply to a read, where structured ones were agreed on',
      'structured',
      ({ cookie }) => simpleReply(cookie, 0, Buffer.alloc(4096)),
      /wrong form/,
    ],
    ['no magic', 'structured', () => Buffer.alloc(64, 1), /wrong form/],
    [
      'data before the request',
      'structured',
      ({ cookie }) => chunk(cookie, 1, true, data(8191, 4096)),
      /wrong length or place/,
    ],
    [
      'data after the request',
      'structured',
      ({ cookie }) => chunk(cookie, 1, true, data(8193, 4096)),
      /wrong length or place/,
    ],
    [
      'more data than the request',
      'structured',
      ({ cookie }) => chunk(cookie, 1, true, data(8192, 8192)),
      /wrong length or place/,
    ],
    [
      'the same data twice',
      'structured',
      ({ cookie }) =>
        Buffer.concat([chunk(cookie, 1, false, data(8192, 4096)), chunk(cookie, 1, true, data(8192, 4096))]),
      /wrong length or place/,
    ],
    [
      'less data than the request',
      'structured',
      ({ cookie }) => chunk(cookie, 1, true, data(8192, 512)),
      /wrong length or place/,
    ],
    ['the end without data', 'structured', ({ cookie }) => chunk(cookie, 0, true), /wrong length or place/],
    [
      'a hole of 4 GiB',
      'structured',
      ({ cookie }) => chunk(cookie, 2, true, bytes([64, 8192], [32, 0xffffffff])),
      /wrong length or place/,
    ],
    [
      '4 GiB of data',
      'structured',
      ({ cookie }) =>
        bytes([32, nbd.STRUCTURED_REPLY_MAGIC], [16, 1], [16, 1], [64, cookie], [32, 0xffffffff], [64, 8192]),
      /wrong length or place/,
    ],
    [
      '2^60 bytes of data',
      'extended',
      ({ cookie }) =>
        bytes([32, nbd.EXTENDED_REPLY_MAGIC], [16, 1], [16, 1], [64, cookie], [64, 8192], [64, 2n ** 60n], [64, 8192]),
      /wrong form/,
    ],
    [
      'it shuts down',
      'structured',
      ({ cookie }) => chunk(cookie, nbd.REPLY_TYPE_ERROR, true, bytes([32, nbd.ESHUTDOWN], [16, 0])),
      /shutting down/,
    ],
  ];
  for (const [what, form, answer, reason] of wrong) {
    test(`${what}: connected to again, and the read is made again`, async () => {
      const reasons: (string | undefined)[] = [];
      const opened = await openOn(form, (connection, request) => {
        connection.send(answer(request));
      });
      opened.connections.follow((status) => reasons.push(status.reason));
      const errors = await opened.do({ type: READ, position: 8192, length: 4096, from: 4096 });
      // The first of two answers counts.
      assert.deepEqual(errors, [what === 'two answers' ? Errno.EIO : 0]);
      if (what !== 'two answers') assert.ok(opened.memory.u8.subarray(4096, 8192).every((byte) => byte === 0x77));
      assert.ok(
        opened.memory.u8.subarray(0, 4096).every((byte) => byte === 0),
        'memory before it is as it was',
      );
      assert.ok(
        opened.memory.u8.subarray(8192, 16384).every((byte) => byte === 0),
        'memory after it is as it was',
      );
      await opened.reaches('connected');
      for (let tries = 0; tries < 2000 && !reasons.some((text) => reason.test(text ?? '')); tries++) {
        opened.step();
        await sleep(1);
      }
      assert.ok(
        reasons.some((text) => reason.test(text ?? '')),
        JSON.stringify(reasons),
      );
    });
  }

  test('a reply in pieces of one byte, out of order, with holes and errors, in each form', async () => {
    for (const form of ['structured', 'extended'] as const) {
      const make = form === 'extended' ? extendedChunk : chunk;
      const opened = await openOn(form, async (connection, { cookie }) => {
        const parts = [
          make(cookie, 1, false, data(8192 + 3072, 1024)),
          make(cookie, 2, false, bytes([64, 8192 + 1024], [32, 2048])),
          make(cookie, 1, false, data(8192, 1024)),
          make(cookie, 0, true),
        ];
        for (const byte of Buffer.concat(parts.slice(0, 2))) {
          connection.send(Uint8Array.of(byte));
          if (byte === 0x66) continue;
          await sleep(0);
        }
        connection.send(Buffer.concat(parts.slice(2)));
      });
      opened.memory.u8.fill(0x99, 0, 4096);
      assert.deepEqual(await opened.do({ type: READ, position: 8192, length: 4096, from: 0, piece: 1000 }), [0]);
      const expected = Buffer.concat([Buffer.alloc(1024, 0x66), Buffer.alloc(2048), Buffer.alloc(1024, 0x66)]);
      assert.ok(Buffer.from(opened.memory.u8.slice(0, 4096)).equals(expected));
      await opened.close();
      disk = undefined;
      server?.close();
    }
  });

  test('an answer to a write before it was sent: the memory is not given back', async () => {
    const opened = await openOn('simple', (connection, { cookie }) => {
      connection.send(simpleReply(cookie));
    });
    // More than the buffers of a socket have room for, so that the first connection is still sending.
    const errors = await opened.do({ type: WRITE, position: 0, length: SIZE, from: 0 });
    assert.deepEqual(errors, [0]);
    assert.equal(server?.connections, 2);
  });

  test('errors become errors of the operation, whatever their text', async () => {
    const opened = await openOn('structured', (connection, { cookie }) => {
      const text = 'x'.repeat(4000);
      connection.send(chunk(cookie, nbd.REPLY_TYPE_ERROR, false, bytes([32, Errno.ENOSPC], [16, text.length], text)));
      connection.send(chunk(cookie, nbd.REPLY_TYPE_NONE, true));
    });
    const reads = Array.from({ length: 3 }, (): { type: OperationType; length: number; from: number } => ({
      type: READ,
      length: 512,
      from: 0,
    }));
    assert.deepEqual(await opened.do(...reads), [Errno.ENOSPC, Errno.ENOSPC, Errno.ENOSPC]);
  });

  test('hostile on every connection: an error in the end, and few connections', async () => {
    server = new FakeServer(async (connection) => {
      await negotiate(connection, 'simple');
      await connection.request();
      connection.send(Buffer.alloc(64, 1));
    });
    disk = await NbdDisk.open(server.uri, { reconnect: 0.5 });
    assert.deepEqual(await disk.do({ type: READ, length: 512, from: 0 }), [Errno.EIO]);
    await disk.reaches('failed');
    assert.ok(server.connections < 10, `${server.connections} connections`);
  });

  const handshakes: readonly [string, (connection: FakeConnection) => Promise<void>][] = [
    ['nothing', () => Promise.resolve()],
    [
      'a byte every 0.1 s',
      async (connection) => {
        for (const byte of greeting()) {
          connection.send(Uint8Array.of(byte));
          await sleep(100);
        }
      },
    ],
    [
      'replies without an end',
      async (connection) => {
        connection.send(greeting());
        for (;;) {
          connection.send(optionReply(nbd.OPT_EXTENDED_HEADERS, nbd.REP_ERR_UNSUP));
          await connection.option();
          await sleep(50);
        }
      },
    ],
  ];
  for (const [what, serve] of handshakes) {
    test(`a handshake of ${what} ends in time`, async () => {
      server = new FakeServer(serve);
      const begun = performance.now();
      await assert.rejects(NbdDisk.open(server.uri, { connectMs: 200 }), {
        message: /within 0.2 s|answers option|ended the connection|Unexpected|refuses/,
      });
      assert.ok(performance.now() - begun < 10_000);
    });
  }

  test('data that comes slower than the bound for silence: an error in the end', async () => {
    server = new FakeServer(async (connection) => {
      await negotiate(connection, 'simple');
      const { cookie } = await connection.request();
      connection.send(simpleReply(cookie));
      for (;;) {
        connection.send(Uint8Array.of(0x55));
        await sleep(50);
      }
    });
    disk = await NbdDisk.open(server.uri, { reconnect: 0.3, silenceMs: 200 });
    assert.deepEqual(await disk.do({ type: READ, length: 65536, from: 0 }), [Errno.EIO]);
  });
});
