import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AttributeList, AttributeWriter } from '../../src/netlink/attribute.js';
import { littleEndian } from '../../src/netlink/bytes.js';
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER } from '../../src/netlink/constants.js';
import { NetlinkProtocolError } from '../../src/netlink/error.js';
import { concat, hex } from '../support/peer.js';

const skip = !littleEndian && 'the bytes are those of little-endian machines';

void test('attributes are encoded byte for byte', { skip }, () => {
  const writer = new AttributeWriter()
    .u8(1, 0xab)
    .u16(2, 0x0102)
    .u32(3, 0xfffefdfc)
    .u64(4, 0x0102030405060708n)
    .string(5, 'foo0')
    .string(6, 'foo0', { nul: false })
    .bytes(7, hex('de ad be'))
    .flag(8)
    .nested(9, (nest) => nest.u8(1, 1).nested(2, (inner) => inner.flag(3)));
  assert.deepEqual(
    writer.finish(),
    hex(`
      0500 0100 ab000000
      0600 0200 0201 0000
      0800 0300 fcfdfeff
      0c00 0400 0807060504030201
      0900 0500 666f6f30 00000000
      0800 0600 666f6f30
      0700 0700 deadbe00
      0400 0800
      1400 0980 0500 0100 01000000 0800 0280 0400 0300
    `),
  );
});

void test('attributes are decoded', () => {
  const list = AttributeList.parse(
    new AttributeWriter()
      .u8(1, 255)
      .u16(2, 65535)
      .u32(3, 0xffff_ffff)
      .u64(4, 0xffff_ffff_ffff_ffffn)
      .string(5, 'gerät')
      .string(6, 'gerät', { nul: false })
      .flag(7)
      .bytes(8, hex('61 62 00 63'))
      .nested(9, (nest) => nest.u8(1, 7))
      .finish(),
  );
  assert.equal(list.length, 9);
  assert.equal(list.u8(1), 255);
  assert.equal(list.u16(2), 65535);
  assert.equal(list.u32(3), 0xffff_ffff);
  assert.equal(list.u64(4), 0xffff_ffff_ffff_ffffn);
  assert.equal(list.s64(4), -1n);
  assert.equal(list.string(5), 'gerät');
  assert.equal(list.string(6), 'gerät');
  assert.equal(list.string(7), '');
  assert.equal(list.string(8), 'ab', 'text ends at its first NUL');
  assert.deepEqual(list.bytes(8), hex('61 62 00 63'));
  assert.equal(list.has(7), true);
  assert.equal(list.nested(9)?.u8(1), 7);
  assert.equal(list.get(9)?.nested, true);
  assert.equal(list.nested(7)?.length, 0);
});

void test('a missing attribute reads as undefined', () => {
  const list = AttributeList.parse(new Uint8Array(0));
  assert.equal(list.length, 0);
  assert.equal(list.has(1), false);
  for (const read of ['get', 'u8', 'u16', 'u32', 'u64', 's64', 'string', 'bytes', 'nested'] as const) {
    assert.equal(list[read](1), undefined, read);
  }
  assert.deepEqual(list.all(1), []);
});

void test('order, unknown types, repetitions and flags are kept; reading by type returns the last one', () => {
  const bytes = new AttributeWriter()
    .u8(3, 1)
    .u8(0x3fff, 2)
    .u8(3, 3)
    .bytes(4 | NLA_F_NET_BYTEORDER, hex('0102'))
    .flag(5 | NLA_F_NESTED)
    .finish();
  const list = AttributeList.parse(bytes);
  assert.deepEqual(
    Array.from(list, ({ type, nested, netByteOrder }) => [type, nested, netByteOrder]),
    [
      [3, false, false],
      [0x3fff, false, false],
      [3, false, false],
      [4, false, true],
      [5, true, false],
    ],
  );
  assert.equal(list.u8(3), 3);
  assert.deepEqual(list.get(3)?.payload, hex('03'));
  assert.deepEqual(
    list.all(3).map(({ payload }) => payload[0]),
    [1, 3],
  );
});

void test('a list may start anywhere in its buffer', () => {
  const bytes = new AttributeWriter()
    .u32(1, 5)
    .nested(2, (nest) => nest.u64(3, 9n))
    .finish();
  const list = AttributeList.parse(concat(hex('000000'), bytes).subarray(3));
  assert.equal(list.u32(1), 5);
  assert.equal(list.nested(2)?.u64(3), 9n);
  assert.deepEqual(list.get(1)?.payload, bytes.subarray(4, 8));
});

void test('the last attribute may lack its padding', () => {
  const bytes = new AttributeWriter().u8(1, 7).finish();
  assert.equal(AttributeList.parse(bytes.subarray(0, 5)).u8(1), 7);
});

const broken: readonly [what: string, bytes: Uint8Array, message: RegExp][] = [
  ['a cut header', hex('0400 01'), /3 stray bytes/],
  ['stray bytes after an attribute', hex('0400 0100 00'), /1 stray bytes/],
  ['a length of zero', hex('0000 0100 00000000'), /length of 0, less than its header/],
  ['a length below the header', hex('0300 0100'), /length of 3, less than its header/],
  ['a payload past the end', hex('0900 0100 00000000'), /reaches past the end: its length is 9, but only 8 bytes/],
  ['a broken second attribute', hex('0400 0100 ffff 0200'), /at byte 4 reaches past the end/],
];

void test('broken attributes are rejected', { skip }, async (t) => {
  for (const [what, bytes, text] of broken) {
    const refused = (error: unknown): boolean => {
      assert.ok(error instanceof NetlinkProtocolError);
      assert.match(error.message, text);
      return true;
    };
    await t.test(what, () => {
      assert.throws(() => AttributeList.parse(bytes), refused);
    });
    await t.test(`${what}, in a nest`, () => {
      const outer = AttributeList.parse(new AttributeWriter().bytes(1, bytes).finish());
      assert.throws(() => outer.nested(1), NetlinkProtocolError);
    });
  }
});

void test('a nest ends according to its own length, not where the bytes end', () => {
  const bytes = new AttributeWriter().bytes(1, hex('0c00 0100')).u64(2, 1n).finish();
  assert.throws(() => AttributeList.parse(bytes).nested(1), /only 4 bytes are there/);
});

void test('a number of a wrong length is rejected', () => {
  const list = AttributeList.parse(new AttributeWriter().bytes(1, hex('010203')).flag(2).finish());
  for (const read of ['u8', 'u16', 'u32', 'u64', 's64'] as const) {
    assert.throws(() => list[read](1), /attribute 1 has 3 bytes, expected \d/);
    assert.throws(() => list[read](2), NetlinkProtocolError);
  }
});

void test('a value that does not fit is not written', () => {
  const writer = new AttributeWriter();
  for (const value of [-1, 256, 1.5, Number.NaN]) assert.throws(() => writer.u8(1, value), RangeError);
  assert.throws(() => writer.u16(1, 0x1_0000), RangeError);
  assert.throws(() => writer.u32(1, 0x1_0000_0000), RangeError);
  for (const value of [-1n, 1n << 64n]) assert.throws(() => writer.u64(1, value), RangeError);
  assert.throws(() => writer.bytes(1, new Uint8Array(65532)), /more than an attribute can hold/);
  assert.throws(() => writer.string(1, 'a\0b'), /NUL/);
  assert.throws(() => writer.flag(0x1_0000), RangeError);
  assert.equal(writer.finish().length, 0, 'and no part of it is left behind');
});

void test('the longest attribute can be decoded again', () => {
  const payload = new Uint8Array(65531).fill(7);
  const list = AttributeList.parse(new AttributeWriter().u8(1, 1).bytes(2, payload).u8(3, 3).finish());
  assert.deepEqual(list.bytes(2), payload);
  assert.equal(list.u8(3), 3);
});

interface Tree {
  readonly type: number;
  readonly content: Uint8Array | readonly Tree[];
}

const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record(
    {
      type: fc.integer({ min: 0, max: 0x3fff }),
      content: fc.oneof({ maxDepth: 4 }, fc.uint8Array(), fc.array(tie('tree'), { maxLength: 5 })),
    },
    { noNullPrototype: true },
  ),
}));

function write(writer: AttributeWriter, forest: readonly Tree[]): AttributeWriter {
  for (const { type, content } of forest) {
    if (content instanceof Uint8Array) writer.bytes(type, content);
    else writer.nested(type, (nest) => write(nest, content));
  }
  return writer;
}

function read(list: AttributeList): Tree[] {
  return Array.from(list, ({ type, nested, payload }) => ({
    type,
    content: nested ? read(AttributeList.parse(payload)) : payload,
  }));
}

void test('nests of any shape survive encoding and decoding', () => {
  fc.assert(
    fc.property(fc.array(trees, { maxLength: 6 }), (forest) => {
      const bytes = write(new AttributeWriter(), forest).finish();
      assert.equal(bytes.length % 4, 0);
      assert.deepEqual(read(AttributeList.parse(bytes)), forest);
    }),
  );
});

void test('numbers and texts of any value survive encoding and decoding', () => {
  const values = fc.record({
    u8: fc.integer({ min: 0, max: 0xff }),
    u16: fc.integer({ min: 0, max: 0xffff }),
    u32: fc.integer({ min: 0, max: 0xffff_ffff }),
    u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    text: fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
  });
  fc.assert(
    fc.property(values, ({ u8, u16, u32, u64, text }) => {
      const writer = new AttributeWriter().u8(1, u8).u16(2, u16).u32(3, u32).u64(4, u64).string(5, text);
      const list = AttributeList.parse(writer.string(6, text, { nul: false }).finish());
      assert.deepEqual(
        [list.u8(1), list.u16(2), list.u32(3), list.u64(4), list.string(5), list.string(6)],
        [u8, u16, u32, u64, text, text],
      );
      assert.equal(list.s64(4), BigInt.asIntN(64, u64));
    }),
  );
});
