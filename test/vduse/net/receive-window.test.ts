import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { test } from 'node:test';
import { close } from '../../../src/sys/libc.js';
import { ReceiveWindow } from '../../../src/vduse/net/receive-window.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { openSocketPair } from '../../support/socket-pair.js';
import { DATA } from '../../support/queue-and-driver.js';

test('a packet for a buffer whose memory is unmapped is lost, but not the next ones', () => {
  const { queue, driver } = setUpDeviceQueue();
  driver.offer(driver.chain([{ iova: DATA, length: 0x1000, writable: true }]));
  const { tap, network } = openSocketPair();
  const window = new ReceiveWindow(8);
  window.open(queue, false);
  for (let packet = 0; packet < 2; packet++) writeSync(network, new Uint8Array(100));
  assert.ok(window.fill());
  // The address of plain memory is fictitious: the kernel finds nothing there.
  assert.deepEqual([window.read(tap), window.read(tap), window.read(tap)], [0, 0, -1]);
  close(tap);
  close(network);
  window.free();
});

test('without mergeable buffers a packet has one buffer, however many were taken for a batch', () => {
  const { queue, driver } = setUpDeviceQueue({ native: true });
  for (let index = 0; index < 3; index++) {
    driver.offer(driver.chain([{ iova: DATA + index * 0x1000, length: 100, writable: true }]));
  }
  const { tap, network } = openSocketPair();
  const window = new ReceiveWindow(8);
  window.open(queue, false);
  assert.deepEqual([window.take(5), window.bytes], [3, 300]);
  writeSync(network, new Uint8Array(150));
  assert.ok(window.fill());
  assert.equal(window.bytes, 100);
  assert.equal(window.deliver(window.read(tap)), 0);
  assert.deepEqual([window.take(5), queue.ring.completed], [3, 0]);
  close(tap);
  close(network);
  window.free();
});
