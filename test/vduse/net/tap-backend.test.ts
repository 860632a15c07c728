import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TransferBatch } from '../../../src/sys/aio.js';
import { close } from '../../../src/sys/libc.js';
import { ETH_HLEN, HEADER_BUFFERS, HEADER_SIZE, VIRTIO_NET_F_MRG_RXBUF } from '../../../src/virtio/net.js';
import { MORE, QUIET, STARVED, WAIT } from '../../../src/vduse/engine/data-plane.js';
import { createDataPlane } from '../../../src/vduse/net/module.js';
import { ReceiveWindow } from '../../../src/vduse/net/receive-window.js';
import type { DataPlane } from '../../../src/vduse/engine/data-plane.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';
import { openSocketPair } from '../../support/socket-pair.js';

const QUEUE_SIZE = 128;
const MINIMUM = HEADER_SIZE + ETH_HLEN;

let plane: DataPlane;
let sockets: ReturnType<typeof openSocketPair>;
let receive: ReturnType<typeof setUpDeviceQueue>;
let transmit: ReturnType<typeof setUpDeviceQueue>;
let watched: { readonly fd: number; readonly readable: () => void }[];

beforeEach(async () => {
  sockets = openSocketPair();
  watched = [];
  plane = await createPlane();
  receive = setUpDeviceQueue({ native: true, size: QUEUE_SIZE, index: 0 });
  transmit = setUpDeviceQueue({ native: true, size: QUEUE_SIZE, index: 1 });
});

/** A started data plane of the tap. */
async function createPlane(): Promise<DataPlane> {
  const created = await createDataPlane(
    { backend: 'tap', fds: [sockets.tap] },
    {
      queueCount: 2,
      queueSize: QUEUE_SIZE,
      queues: [0, 1],
      ordered: true,
      shared: new Int32Array(16),
      watch: (fd, readable) => void watched.push({ fd, readable }),
    },
  );
  created.start(0n);
  return created;
}

afterEach(() => {
  plane.close();
  close(sockets.tap);
  close(sockets.network);
});

/** The packets that have reached the network. */
function onNetwork(): Uint8Array[] {
  const packets = [];
  for (;;) {
    const bytes = new Uint8Array(70_000);
    try {
      packets.push(bytes.slice(0, readSync(sockets.network, bytes)));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      return packets;
    }
  }
}

/** The network sends a packet, and the thread is notified that there is something to read. */
function fromNetwork(length: number, fill = 1): void {
  const bytes = new Uint8Array(length).fill(fill);
  bytes.fill(0, 0, HEADER_SIZE);
  writeSync(sockets.network, bytes);
  for (const { readable } of watched) readable();
}

function offerBuffer(at: number, length: number): void {
  receive.driver.offer(receive.driver.chain([{ iova: DATA + at, length, writable: true }]));
}

describe('packets of the driver', () => {
  const offer = (at: number, length: number): void => {
    transmit.driver.offer(transmit.driver.chain([{ iova: DATA + at, length }]));
  };

  test('reach the network complete and in order, one as well as many', () => {
    for (let at = 0; at < 0x1000; at++) transmit.data.u8[at] = at % 250;
    offer(0, 100);
    assert.equal(plane.serve(transmit.queue), MORE);
    assert.equal(plane.serve(transmit.queue), WAIT);
    for (let index = 0; index < 5; index++) offer(200 + index * 100, 60 + index);
    plane.serve(transmit.queue);
    const packets = onNetwork();
    assert.deepEqual(
      packets.map(({ length }) => length),
      [100, 60, 61, 62, 63, 64],
    );
    assert.deepEqual(packets[5], transmit.data.u8.slice(600, 664));
    assert.equal(transmit.driver.usedIndex, 6);
    const { requests, bytesOut, errors } = transmit.counters.read();
    assert.deepEqual([requests, bytesOut, errors], [6, 100 + 60 + 61 + 62 + 63 + 64 - 6 * HEADER_SIZE, 0]);
    assert.deepEqual(transmit.interrupts, [1, 1]);
  });

  test('that are invalid are completed and counted; valid ones around them are sent', () => {
    offer(0, 50);
    offer(0, MINIMUM - 1);
    transmit.driver.offer(transmit.driver.chain([1, 2, 3].map(() => ({ iova: DATA, length: 0x8000 }))));
    transmit.driver.offer(transmit.driver.chain([{ iova: 0xdead_0000, length: 100 }]));
    offer(0, MINIMUM);
    plane.serve(transmit.queue);
    assert.deepEqual(
      onNetwork().map(({ length }) => length),
      [50, MINIMUM],
    );
    assert.equal(transmit.driver.usedIndex, 5);
    assert.equal(transmit.counters.read().errors, 3);
  });

  test('that the tap does not accept are lost, not repeated', () => {
    let offered = 0;
    // Until the socket is full.
    for (; transmit.counters.read().errors === 0; offered++) {
      offer(0, 0x8000);
      plane.serve(transmit.queue);
    }
    assert.equal(onNetwork().length, offered - 1);
    plane.serve(transmit.queue);
    assert.deepEqual(onNetwork(), []);
  });

  test('are not sent if memory was revoked after they were read', () => {
    const revoked = setUpDeviceQueue({ native: true, index: 1, owner: { isRevoked: () => true } });
    revoked.driver.offer(revoked.driver.chain([{ iova: DATA, length: 100 }]));
    assert.throws(() => plane.serve(revoked.queue), { name: 'MemoryRevokedError' });
    assert.deepEqual(onNetwork(), []);
    assert.equal(revoked.driver.usedIndex, 0);
  });
});

test('a driver that sends without a pause, and a network that does: turns are of equal length', () => {
  const size = 512;
  const sending = setUpDeviceQueue({ native: true, size, index: 1 });
  const receiving = setUpDeviceQueue({ native: true, size, index: 0 });
  for (let index = 0; index < 300; index++) {
    sending.driver.offer(sending.driver.chain([{ iova: DATA, length: 100 }]));
    receiving.driver.offer(receiving.driver.chain([{ iova: DATA, length: 100, writable: true }]));
    fromNetwork(60);
  }
  assert.deepEqual([plane.serve(sending.queue), plane.serve(receiving.queue)], [MORE, MORE]);
  assert.deepEqual([sending.driver.usedIndex, receiving.driver.usedIndex], [256, 256]);
  assert.deepEqual([plane.serve(sending.queue), plane.serve(receiving.queue)], [MORE, STARVED]);
  assert.deepEqual([sending.driver.usedIndex, receiving.driver.usedIndex], [300, 300]);
});

describe('packets of the network', () => {
  test('the tap is watched only for a receive queue, and read only when it is readable', () => {
    assert.deepEqual(
      watched.map(({ fd }) => fd),
      [sockets.tap],
    );
    offerBuffer(0, 2048);
    assert.equal(plane.serve(receive.queue), QUIET);
    assert.equal(receive.driver.usedIndex, 0);
  });

  test('are written to the buffers of the driver, with the number of buffers in the header', () => {
    for (let index = 0; index < 3; index++) offerBuffer(index * 2048, 2048);
    fromNetwork(100, 5);
    fromNetwork(1500, 6);
    assert.equal(plane.serve(receive.queue), QUIET);
    assert.deepEqual(receive.driver.collect(), { head: 0, written: 100 });
    assert.deepEqual(receive.driver.collect(), { head: 1, written: 1500 });
    assert.equal(receive.driver.collect(), undefined);
    assert.deepEqual([receive.data.u8[99], receive.data.u8[100], receive.data.u8[2048 + 1499]], [5, 0, 6]);
    assert.equal(receive.data.u8[HEADER_BUFFERS], 1);
    assert.deepEqual(receive.interrupts, [0]);
    // Buffers that were taken but not used are available for the next packet.
    fromNetwork(60, 7);
    plane.serve(receive.queue);
    assert.deepEqual(receive.driver.collect(), { head: 2, written: 60 });
  });

  test('without a buffer they stay in the tap until there is one', () => {
    fromNetwork(100);
    assert.equal(plane.serve(receive.queue), STARVED);
    offerBuffer(0, 2048);
    assert.equal(plane.serve(receive.queue), STARVED, 'the next one needs a buffer too');
    assert.deepEqual(receive.driver.collect(), { head: 0, written: 100 });
    assert.deepEqual(receive.interrupts, [0]);
  });

  test('that do not fit are dropped and counted, and the buffer is used for the next', () => {
    offerBuffer(0, 200);
    fromNetwork(300);
    fromNetwork(150, 8);
    plane.serve(receive.queue);
    assert.deepEqual(receive.driver.collect(), { head: 0, written: 150 });
    assert.equal(receive.counters.read().errors, 1);
    assert.deepEqual([receive.data.u8[149], receive.data.u8[150]], [8, 1]);
  });

  test('shorter than a header are ignored', () => {
    offerBuffer(0, 200);
    fromNetwork(HEADER_SIZE - 1);
    plane.serve(receive.queue);
    assert.deepEqual([receive.driver.usedIndex, receive.counters.read().errors], [0, 1]);
  });

  test('a buffer without a packet is returned empty', () => {
    receive.driver.offer(receive.driver.chain([{ iova: 0xdead_0000, length: 2048, writable: true }]));
    offerBuffer(0, HEADER_SIZE - 1);
    offerBuffer(0, 2048);
    fromNetwork(100);
    plane.serve(receive.queue);
    assert.deepEqual(
      [receive.driver.collect(), receive.driver.collect(), receive.driver.collect()],
      [
        { head: 0, written: 0 },
        { head: 1, written: 0 },
        { head: 2, written: 100 },
      ],
    );
    assert.equal(receive.counters.read().errors, 2);
  });

  test('in bursts take one call each', (context) => {
    for (let index = 0; index < 40; index++) offerBuffer(index * 512, 512);
    const together = context.mock.method(TransferBatch.prototype, 'run');
    const single = context.mock.method(ReceiveWindow.prototype, 'read');
    const calls: number[][] = [];
    for (let burst = 0; burst < 4; burst++) {
      for (let packet = 0; packet < 8; packet++) fromNetwork(100 + packet, burst * 8 + packet);
      assert.equal(plane.serve(receive.queue), QUIET);
      calls.push([together.mock.callCount(), single.mock.callCount()]);
    }
    // The first two bursts: 1, 1, 2, 4, and 8 of which none is found.
    assert.deepEqual(calls, [
      [3, 2],
      [6, 4],
      [7, 4],
      [8, 4],
    ]);
    for (let packet = 0; packet < 32; packet++) {
      assert.deepEqual(receive.driver.collect(), { head: packet, written: 100 + (packet % 8) });
      assert.equal(receive.data.u8[packet * 512 + 50], packet);
    }
    assert.deepEqual(receive.interrupts, [0, 0, 0, 0]);
  });

  test('arrive one at a time where the kernel has no call for many', async (context) => {
    plane.close();
    context.mock.method(TransferBatch, 'open', () => undefined);
    plane = await createPlane();
    for (let index = 0; index < 20; index++) offerBuffer(index * 512, 512);
    for (let burst = 0; burst < 2; burst++) {
      for (let packet = 0; packet < 8; packet++) fromNetwork(100 + packet);
      assert.equal(plane.serve(receive.queue), QUIET);
    }
    for (let packet = 0; packet < 16; packet++) {
      assert.deepEqual(receive.driver.collect(), { head: packet, written: 100 + (packet % 8) });
    }
  });

  test('that find too few buffers after a batch are not lost, unless the driver resets the device', () => {
    plane.start(1n << VIRTIO_NET_F_MRG_RXBUF);
    for (let index = 0; index < 4; index++) offerBuffer(index * 512, 500);
    for (let packet = 0; packet < 2; packet++) fromNetwork(80);
    // A ring with half of its buffers is full enough for single packets; this one is not.
    assert.equal(plane.serve(receive.queue), STARVED);
    for (let index = 4; index < QUEUE_SIZE; index++) offerBuffer(index * 400, 400);
    fromNetwork(80);
    fromNetwork(20_000, 7);
    fromNetwork(30_000, 8);
    fromNetwork(35_000, 9);
    assert.equal(plane.serve(receive.queue), STARVED);
    const written = (): number[] => {
      const lengths: number[] = [];
      for (let used = receive.driver.collect(); used; used = receive.driver.collect()) lengths.push(used.written);
      return lengths;
    };
    const first = written();
    assert.equal(
      first.slice(0, 3).reduce((sum, length) => sum + length, 0),
      240,
    );
    for (let index = 0; index < QUEUE_SIZE - 1; index++) offerBuffer(index * 500, 500);
    plane.serve(receive.queue);
    const sum = [...first.slice(3), ...written()].reduce((total, length) => total + length, 0);
    assert.equal(sum, 20_000 + 30_000 + 35_000);
    assert.equal(receive.counters.read().errors, 0);
  });

  test('the number of buffers is written to a header in any number of pieces', () => {
    const pieces = (at: number, ...lengths: number[]): void => {
      let iova = DATA + at;
      const buffers = lengths.map((length) => ({ iova: (iova += length) - length, length, writable: true }));
      receive.driver.offer(receive.driver.chain(buffers));
    };
    receive.data.u8.fill(0xee);
    pieces(0, HEADER_SIZE, 500);
    pieces(1000, 11, 500);
    pieces(2000, 10, 1, 500);
    pieces(3000, ...Array.from({ length: HEADER_SIZE }, () => 1), 500);
    for (let index = 0; index < 4; index++) fromNetwork(100, 9);
    plane.serve(receive.queue);
    for (let index = 0; index < 4; index++) {
      assert.equal(receive.driver.collect()?.written, 100);
      const at = index * 1000 + HEADER_BUFFERS;
      assert.deepEqual([...receive.data.u8.subarray(at, at + 3)], [1, 0, 9], `packet ${index}`);
    }
  });

  test('with mergeable buffers a packet spans as many as it needs', () => {
    plane.start(1n << VIRTIO_NET_F_MRG_RXBUF);
    for (let index = 0; index < QUEUE_SIZE; index++) offerBuffer(index * 512, 500);
    fromNetwork(1200, 3);
    fromNetwork(80, 4);
    plane.serve(receive.queue);
    const used = Array.from({ length: 4 }, () => receive.driver.collect());
    assert.deepEqual(
      used.map((one) => one?.written),
      [500, 500, 200, 80],
    );
    assert.deepEqual([receive.data.u8[HEADER_BUFFERS], receive.data.u8[3 * 512 + HEADER_BUFFERS]], [3, 1]);
    assert.deepEqual([receive.data.u8[512], receive.data.u8[1024 + 199], receive.data.u8[1024 + 200]], [3, 3, 0]);
    assert.equal(receive.driver.collect(), undefined);
  });
});

test('a queue of a pair without a tap is an error', () => {
  const { queue } = setUpDeviceQueue({ native: true, index: 4 });
  assert.throws(() => plane.serve(queue), { name: 'RangeError', message: /4/ });
});
