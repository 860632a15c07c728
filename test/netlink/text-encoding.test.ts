import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeText, encodeText } from '../../src/netlink/text-encoding.js';
import { hex } from '../support/peer.js';

void test('valid UTF-8 is unchanged', () => {
  for (const text of ['', 'foo0', 'gerät', '设备', '😀', '\u{10ffff}', '\ufeffbom', '\0']) {
    assert.equal(decodeText(Buffer.from(text)), text);
    assert.deepEqual(Buffer.from(encodeText(text)), Buffer.from(text));
  }
});

/** Bytes, and the result of Python's bytes.decode('utf-8', 'surrogateescape'). */
const escapes: readonly [bytes: string, text: string][] = [
  ['66 ff 6f', 'f\udcffo'],
  ['80', '\udc80'],
  ['c3', '\udcc3'],
  ['c3 28', '\udcc3('],
  ['c0 af', '\udcc0\udcaf'],
  ['e2 82', '\udce2\udc82'],
  ['e0 80 80', '\udce0\udc80\udc80'],
  ['ed a0 80', '\udced\udca0\udc80'],
  ['f0 9f 98', '\udcf0\udc9f\udc98'],
  ['f0 80 80 80', '\udcf0\udc80\udc80\udc80'],
  ['f4 90 80 80', '\udcf4\udc90\udc80\udc80'],
  ['f5 80', '\udcf5\udc80'],
  ['c3 a4 e4', 'ä\udce4'],
];

void test('a byte that is not UTF-8 becomes a lone surrogate, and a byte again', () => {
  for (const [bytes, text] of escapes) {
    assert.equal(decodeText(hex(bytes)), text, bytes);
    assert.deepEqual(encodeText(text), Buffer.from(hex(bytes)), bytes);
  }
});

void test('a surrogate that does not stand for a byte cannot be encoded', () => {
  for (const text of ['\ud800', 'a\udc7f', '\udd00']) assert.throws(() => encodeText(text), RangeError);
});

void test('every byte string survives decoding and encoding', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual(Buffer.from(encodeText(decodeText(bytes))), Buffer.from(bytes));
    }),
  );
});

void test('every well-formed text survives encoding and decoding', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(decodeText(encodeText(text)), text);
    }),
  );
});
