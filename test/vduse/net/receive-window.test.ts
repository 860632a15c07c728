import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { test } from 'node:test';
import { checked, close, libc } from '../../../src/sys/libc.js';
import { NativeBuffer } from '../../../src/sys/memory.js';
import { ReceiveWindow } from '../../../src/vduse/net/receive-window.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const socketpair: (domain: number, type: number, protocol: number, fds: number) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, uintptr_t fds)',
);

test('a packet for a buffer whose memory is gone is lost, but not the next ones', () => {
  const { queue, driver } = setUpDeviceQueue();
  driver.offer(driver.chain([{ iova: DATA, length: 0x1000, writable: true }]));
  const fds = new NativeBuffer(8);
  checked('make a pair of sockets', socketpair(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0, fds.address));
  const [tap = -1, network = -1] = fds.u32;
  const window = new ReceiveWindow(8);
  window.open(queue, false);
  for (let packet = 0; packet < 2; packet++) writeSync(network, new Uint8Array(100));
  assert.ok(window.fill());
  // The address of plain memory is made up: the kernel finds nothing there.
  assert.deepEqual([window.read(tap), window.read(tap), window.read(tap)], [0, 0, -1]);
  close(tap);
  close(network);
  window.free();
});
