import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeIotlbMessage } from '../../src/vhost/iotlb.js';
import { VHOST_ACCESS_RO } from '../../src/vhost/uapi.js';

/** The fields of struct vhost_msg_v2, as the kernel of a little-endian machine reads them. */
function fields(bytes: Uint8Array): (number | bigint)[] {
  const view = new DataView(bytes.buffer);
  const u64 = (offset: number): bigint => view.getBigUint64(offset, true);
  return [
    view.getUint32(0, true),
    view.getUint32(4, true),
    u64(8),
    u64(16),
    u64(24),
    view.getUint8(32),
    view.getUint8(33),
  ];
}

test('messages have the layout of struct vhost_msg_v2', () => {
  const update = {
    kind: 'update',
    iova: 1n << 40n,
    size: 4096n,
    address: 0x7f00_0000_1000n,
    access: VHOST_ACCESS_RO,
  } as const;
  assert.deepEqual(fields(encodeIotlbMessage(update, 3)), [2, 3, 1n << 40n, 4096n, 0x7f00_0000_1000n, 1, 2]);
  assert.deepEqual(fields(encodeIotlbMessage({ kind: 'invalidate', iova: 5n, size: 2n ** 64n - 1n }, 0)), [
    ...[2, 0, 5n, 2n ** 64n - 1n, 0n, 0, 3],
  ]);
  assert.deepEqual(fields(encodeIotlbMessage({ kind: 'batch begin' }, 1)), [2, 1, 0n, 0n, 0n, 0, 5]);
  assert.deepEqual(fields(encodeIotlbMessage({ kind: 'batch end' }, 1)), [2, 1, 0n, 0n, 0n, 0, 6]);
  assert.equal(encodeIotlbMessage({ kind: 'batch end' }, 0).length, 72);
});
