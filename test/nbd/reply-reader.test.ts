import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as nbd from '../../src/nbd/protocol.js';
import { ReplyReader } from '../../src/nbd/reply-reader.js';
import { encodeRequest } from '../../src/nbd/request.js';
import { bytes, chunk, extendedChunk, simpleReply } from '../support/nbd-bytes.js';

const COOKIE = 0x1234_5678_9abc_def0n;

/** Parses a header, which must need all its bytes. */
function parse(form: nbd.ReplyForm, reply: Buffer, length = reply.length) {
  const reader = new ReplyReader(form);
  const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
  for (let few = 0; few < length; few++) assert.equal(reader.read(view, 0, few), 0, `${few} bytes`);
  assert.equal(reader.read(view, 0, reply.length), length);
  const { kind, cookieHigh, cookieLow, isDone, error, position, length: data, skip } = reader;
  assert.deepEqual([cookieHigh, cookieLow], [0x1234_5678, 0x9abc_def0]);
  return { kind, isDone, error, ...(kind === 'data' || kind === 'hole' ? { position, data } : { skip }) };
}

describe('replies', () => {
  test('simple', () => {
    assert.deepEqual(parse('simple', simpleReply(COOKIE, 5)), { kind: 'simple', isDone: true, error: 5, skip: 0 });
    assert.deepEqual(parse('structured', simpleReply(COOKIE)), { kind: 'simple', isDone: true, error: 0, skip: 0 });
  });

  for (const [form, make, header] of [
    ['structured', chunk, 20],
    ['extended', extendedChunk, 32],
  ] as const) {
    test(`${form}: data, a hole, an error, nothing`, () => {
      const data = make(COOKIE, nbd.REPLY_TYPE_OFFSET_DATA, false, bytes([64, 8192], Buffer.alloc(512)));
      assert.deepEqual(parse(form, data, header + 8), {
        kind: 'data',
        isDone: false,
        error: 0,
        position: 8192,
        data: 512,
      });
      const hole = make(COOKIE, nbd.REPLY_TYPE_OFFSET_HOLE, true, bytes([64, 2 ** 40], [32, 4096]));
      assert.deepEqual(parse(form, hole), { kind: 'hole', isDone: true, error: 0, position: 2 ** 40, data: 4096 });
      const error = make(COOKIE, nbd.REPLY_TYPE_ERROR, true, bytes([32, 28], [16, 4], 'full'));
      assert.deepEqual(parse(form, error, header + 4), { kind: 'end', isDone: true, error: 28, skip: 6 });
      const unknown = make(COOKIE, 0x8fff, false, bytes([32, 5], [16, 0]));
      assert.deepEqual(parse(form, unknown, header + 4), { kind: 'end', isDone: false, error: 5, skip: 2 });
      assert.deepEqual(parse(form, make(COOKIE, 0, true)), { kind: 'end', isDone: true, error: 0, skip: 0 });
    });

    const hostile: readonly [string, Buffer][] = [
      ['nothing that is not the end', make(COOKIE, 0, false)],
      ['nothing, with bytes', make(COOKIE, 0, true, Buffer.alloc(1))],
      ['data without bytes', make(COOKIE, 1, true, bytes([64, 0]))],
      ['a hole of the wrong length', make(COOKIE, 2, true, bytes([64, 0]))],
      ['a position beyond any export', make(COOKIE, 1, true, bytes([64, 2n ** 60n], Buffer.alloc(8)))],
      ['a status that was not asked for', make(COOKIE, 5, true, Buffer.alloc(12))],
      ['an error of 1 MiB', make(COOKIE, 0x8001, true, Buffer.alloc(2 ** 20))],
      ['an error that is none', make(COOKIE, 0x8001, true, Buffer.alloc(6))],
      ['no magic', Buffer.alloc(64)],
      ['a request', bytes([32, nbd.REQUEST_MAGIC], Buffer.alloc(60))],
    ];
    for (const [what, reply] of hostile) {
      test(`${form}, hostile: ${what}`, () => {
        const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
        assert.throws(() => new ReplyReader(form).read(view, 0, reply.length), { name: 'NbdProtocolError' });
      });
    }
  }

  test('of a form that was not agreed on', () => {
    for (const [form, reply] of [
      ['simple', chunk(COOKIE, 0, true)],
      ['structured', extendedChunk(COOKIE, 0, true)],
      ['extended', chunk(COOKIE, 0, true)],
      ['extended', simpleReply(COOKIE)],
    ] as const) {
      const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
      assert.throws(() => new ReplyReader(form).read(view, 0, reply.length), {
        name: 'NbdProtocolError',
        message: /magic/,
      });
    }
  });
});

test('requests', () => {
  const view = new DataView(new ArrayBuffer(40));
  const request = {
    command: nbd.CMD_TRIM,
    flags: 1,
    cookieHigh: 1,
    cookieLow: 2,
    position: 2 ** 33 + 512,
    length: 4096,
  } as const;
  assert.equal(encodeRequest(view, 4, request, 'structured'), 28);
  const words = [
    [16, 1],
    [16, 4],
    [32, 1],
    [32, 2],
    [64, 2 ** 33 + 512],
  ] as const;
  assert.deepEqual(Buffer.from(view.buffer, 4, 28), bytes([32, nbd.REQUEST_MAGIC], ...words, [32, 4096]));
  assert.equal(encodeRequest(view, 4, request, 'extended'), 32);
  assert.deepEqual(Buffer.from(view.buffer, 4, 32), bytes([32, nbd.EXTENDED_REQUEST_MAGIC], ...words, [64, 4096]));
});
