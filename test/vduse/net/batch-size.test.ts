import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchSize } from '../../../src/vduse/net/batch-size.js';

/** Reads a burst. @returns the sizes of its batches, the last of which finds the tap empty */
function read(size: BatchSize, packets: number): number[] {
  const sizes: number[] = [];
  for (let left = packets; ;) {
    const wanted = size.next;
    sizes.push(wanted);
    for (let each = Math.min(wanted, left); each > 0; each--) size.add(1);
    left -= Math.min(wanted, left + 1);
    if (left < 0) break;
  }
  size.end();
  return sizes;
}

test('single packets are read one at a time', () => {
  const size = new BatchSize();
  for (let burst = 0; burst < 3; burst++) assert.deepEqual(read(size, 1), [1, 1]);
});

test('a burst is read in batches that double', () => {
  assert.deepEqual(read(new BatchSize(), 20), [1, 1, 2, 4, 8, 16]);
});

test('after two bursts, the next one of their size takes one batch; after a shorter one, batches double again', () => {
  const size = new BatchSize();
  read(size, 20);
  read(size, 30);
  assert.deepEqual(read(size, 20), [21]);
  assert.deepEqual(read(size, 1), [21]);
  assert.deepEqual(read(size, 20), [1, 1, 2, 4, 8, 16]);
});

test('after a packet that uses several buffers, packets are read one at a time for a while', () => {
  const size = new BatchSize();
  for (let packet = 0; packet < 8; packet++) size.add(1);
  assert.equal(size.next, 8);
  size.add(3);
  for (let packet = 0; packet < 64; packet++) {
    assert.equal(size.next, 1);
    size.add(1);
  }
  assert.equal(size.next, 73);
});
