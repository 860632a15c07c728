import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { SizedStructure } from '../../src/iommufd/structure.js';
import { Structure } from '../../src/sys/structure.js';

/** The bytes of a number in this machine's byte order. */
const native = (bytes: readonly number[]): number[] => (endianness() === 'LE' ? [...bytes] : [...bytes].reverse());

test('a structure is zero, and one of iommufd starts with its own size', () => {
  assert.deepEqual([...new Structure(4).bytes], [0, 0, 0, 0]);
  assert.deepEqual([...new SizedStructure(12).bytes], [...native([12, 0, 0, 0]), 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(new SizedStructure(40).readU32(0), 40);
});

test('numbers are written at their offsets in native byte order, without touching their neighbors', () => {
  const structure = new Structure(32)
    .u8(7, 0xab)
    .u16(8, 0x1234)
    .u32(12, 0xfedc_ba98)
    .s32(16, -2)
    .u64(24, 0x0102_0304_0506_0708n);
  const bytes = [...structure.bytes];
  assert.equal(bytes[7], 0xab);
  assert.deepEqual(bytes.slice(8, 12), [...native([0x34, 0x12]), 0, 0]);
  assert.deepEqual(bytes.slice(12, 16), native([0x98, 0xba, 0xdc, 0xfe]));
  assert.deepEqual(bytes.slice(16, 20), native([0xfe, 0xff, 0xff, 0xff]));
  assert.deepEqual(bytes.slice(20, 24), [0, 0, 0, 0]);
  assert.deepEqual(bytes.slice(24), native([8, 7, 6, 5, 4, 3, 2, 1]));
  assert.equal(structure.readU8(7), 0xab);
  assert.equal(structure.readU16(8), 0x1234);
  assert.equal(structure.readU32(12), 0xfedc_ba98);
  assert.equal(structure.readU64(24), 0x0102_0304_0506_0708n);
});

test('the largest numbers keep all their bits', () => {
  const structure = new Structure(16).u32(4, 0xffff_ffff).u64(8, 2n ** 64n - 1n);
  assert.equal(structure.readU32(4), 0xffff_ffff);
  assert.equal(structure.readU64(8), 2n ** 64n - 1n);
});

test('a write beyond the end of the structure is an error', () => {
  const structure = new Structure(12);
  assert.throws(() => structure.u64(8, 1n), RangeError);
  assert.throws(() => structure.u32(12, 1), RangeError);
  assert.throws(() => structure.readU64(8), RangeError);
});
