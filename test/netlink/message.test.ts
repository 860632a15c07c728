import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { littleEndian } from '../../src/netlink/bytes.js';
import { NetlinkProtocolError } from '../../src/netlink/error.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import { concat, hex } from '../support/peer.js';

const message: NetlinkMessage = { type: 0x10, flags: 5, seq: 0x01020304, port: 0xfffffffe, payload: hex('03 01 00') };
const bytes = hex('13000000 1000 0500 04030201 feffffff 030100 00');

void test(
  'a message is encoded byte for byte',
  { skip: !littleEndian && 'the bytes are those of little-endian machines' },
  () => {
    assert.deepEqual(encodeMessage(message), bytes);
    assert.deepEqual(decodeMessages(bytes), [message]);
  },
);

void test('a datagram may hold none, one or many messages', () => {
  assert.deepEqual(decodeMessages(new Uint8Array(0)), []);
  const other = { ...message, seq: 7, payload: hex('aabbccdd') };
  assert.deepEqual(decodeMessages(concat(bytes, encodeMessage(other), bytes)), [message, other, message]);
});

void test('the last message may lack its padding', () => {
  assert.deepEqual(decodeMessages(bytes.subarray(0, 19)), [message]);
});

void test('payloads are views, not copies', () => {
  const [decoded] = decodeMessages(bytes);
  assert.equal(decoded?.payload.buffer, bytes.buffer);
});

const broken: readonly [what: string, bytes: Uint8Array, message: RegExp][] = [
  ['a cut header', bytes.subarray(0, 15), /15 stray bytes/],
  ['a cut payload', bytes.subarray(0, 18), /cut off: its length is 19, but only 18 bytes/],
  ['stray bytes after a message', concat(bytes, hex('00')), /1 stray bytes/],
  ['a length of zero', concat(hex('00000000'), bytes.subarray(4)), /length of 0, less than its header/],
  ['a length below the header', concat(hex('0f000000'), bytes.subarray(4)), /length of 15, less than its header/],
  ['a length far past the end', concat(hex('ffffffff'), bytes.subarray(4)), /length is 4294967295, but only 20/],
  [
    'a broken second message',
    concat(bytes, hex('00000000'), bytes.subarray(4)),
    /at byte 20 has an invalid length of 0/,
  ],
];

void test(
  'broken datagrams are rejected',
  { skip: !littleEndian && 'the bytes are those of little-endian machines' },
  async (t) => {
    for (const [what, datagram, text] of broken) {
      await t.test(what, () => {
        assert.throws(
          () => decodeMessages(datagram),
          (error) => {
            assert.ok(error instanceof NetlinkProtocolError);
            assert.match(error.message, text);
            return true;
          },
        );
      });
    }
  },
);

void test('messages survive encoding and decoding', () => {
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const messages = fc.array(
    fc.record({ type: u16, flags: u16, seq: u32, port: u32, payload: fc.uint8Array() }, { noNullPrototype: true }),
  );
  fc.assert(
    fc.property(messages, (list) => {
      assert.deepEqual(decodeMessages(concat(...list.map(encodeMessage))), list);
    }),
  );
});
