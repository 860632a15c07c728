import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TransferBatch } from '../../../src/sys/aio.js';
import { ftruncate, memfdCreate } from '../../../src/sys/file.js';
import { useGuardedCopies } from '../../../src/sys/guarded-copy.js';
import { checked, close } from '../../../src/sys/libc.js';
import { MAP_SHARED, mapFile, pageSize, PROT_READ, PROT_WRITE, viewMemory } from '../../../src/sys/memory.js';
import { installMemoryGuard, LostMemory } from '../../../src/sys/memory-guard.js';
import { MemoryRegion } from '../../../src/virtio/guest-memory.js';
import { HEADER_BUFFERS, HEADER_SIZE } from '../../../src/virtio/net.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';
import { BatchSize } from '../../../src/vduse/net/batch-size.js';
import { ReceiveBatch } from '../../../src/vduse/net/receive-batch.js';
import { ReceiveWindow } from '../../../src/vduse/net/receive-window.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';
import { openSocketPair } from '../../support/socket-pair.js';

const QUEUE_SIZE = 32;
const QUEUE = 0;
/** Distance of the buffers. */
const STEP = 0x400;
const GONE = 0x900000;

let sockets: ReturnType<typeof openSocketPair>;
let receive: ReturnType<typeof setUpDeviceQueue>;
let transfers: TransferBatch;
let window: ReceiveWindow;
let batch: ReceiveBatch;
let size: BatchSize;

beforeEach(() => {
  sockets = openSocketPair();
  receive = setUpDeviceQueue({ native: true, size: QUEUE_SIZE, index: QUEUE });
  const opened = TransferBatch.open(16);
  assert.ok(opened);
  transfers = opened;
  window = new ReceiveWindow(QUEUE_SIZE);
  batch = new ReceiveBatch(transfers, window, 16);
  size = new BatchSize();
});

afterEach(() => {
  batch.free();
  window.free();
  transfers.close();
  close(sockets.tap);
  close(sockets.network);
});

/** The network sends packets of these lengths, each filled with its number, from 1 on. */
function fromNetwork(...lengths: number[]): void {
  lengths.forEach((length, index) => {
    const bytes = new Uint8Array(length).fill(index + 1);
    bytes.fill(0, 0, HEADER_SIZE);
    writeSync(sockets.network, bytes);
  });
}

function offer(count: number, length = 200): void {
  for (; count > 0; count--) {
    const iova = DATA + (receive.driver.availableIndex % QUEUE_SIZE) * STEP;
    receive.driver.offer(receive.driver.chain([{ iova, length, writable: true }]));
  }
}

/** Reads a batch. @param merge VIRTIO_NET_F_MRG_RXBUF */
function read(count: number, merge = false): void {
  window.open(receive.queue, merge);
  const buffers = window.take(count);
  assert.ok(batch.read(sockets.tap, QUEUE, buffers, size));
  window.putBack();
  receive.queue.flush();
}

function deliverHeld(): boolean {
  window.open(receive.queue, true);
  const all = batch.deliverHeld(size);
  window.putBack();
  receive.queue.flush();
  return all;
}

/** The packets that the driver has received: the number with which each is filled, and the lengths of its buffers. */
function received(): [number, number[]][] {
  const packets: [number, number[]][] = [];
  for (let used = receive.driver.collect(); used; used = receive.driver.collect()) {
    const at = used.head * STEP;
    const buffers = receive.data.u8[at + HEADER_BUFFERS] ?? 0;
    const fill = receive.data.u8[at + HEADER_SIZE] ?? 0;
    const lengths: number[] = [];
    for (let left = buffers; used && left > 0; left--) {
      lengths.push(used.written);
      const start = used.head * STEP + (lengths.length === 1 ? HEADER_SIZE : 0);
      const bytes = receive.data.u8.subarray(start, used.head * STEP + used.written);
      assert.ok(bytes.every((byte) => byte === fill));
      if (left > 1) used = receive.driver.collect();
    }
    packets.push([fill, lengths]);
  }
  return packets;
}

const errors = (): number => receive.counters.read().errors;

describe('a batch of packets', () => {
  test('takes one call, each packet is in a buffer of its own, and the others are put back', () => {
    offer(10);
    fromNetwork(50, 60, 70);
    read(8);
    assert.deepEqual([batch.found, batch.ended, batch.heldFor], [3, true, undefined]);
    assert.deepEqual(received(), [
      [1, [50]],
      [2, [60]],
      [3, [70]],
    ]);
    fromNetwork(80, 90);
    read(2);
    assert.deepEqual([batch.found, batch.ended], [2, false]);
    assert.deepEqual(received(), [
      [1, [80]],
      [2, [90]],
    ]);
    assert.equal(receive.driver.usedIndex, 5);
    const { requests, bytesIn } = receive.counters.read();
    assert.deepEqual([requests, bytesIn, errors()], [5, 50 + 60 + 70 + 80 + 90 - 5 * HEADER_SIZE, 0]);
  });

  test('of an empty tap: none, and all buffers are put back', () => {
    offer(4);
    read(4);
    assert.deepEqual([batch.found, batch.ended, receive.driver.usedIndex], [0, true, 0]);
    fromNetwork(50);
    read(4);
    assert.deepEqual(received(), [[1, [50]]]);
  });

  test('one that is too short is dropped, and the next ones are in the buffers before', () => {
    offer(4);
    fromNetwork(50, HEADER_SIZE - 1, 60, 70);
    read(4);
    assert.deepEqual(received(), [
      [1, [50]],
      [3, [60]],
      [4, [70]],
    ]);
    assert.deepEqual([errors(), receive.driver.usedIndex], [1, 3]);
  });

  test('one that does not fit is dropped without mergeable buffers', () => {
    offer(4);
    fromNetwork(50, 201, 200, 70);
    read(4);
    assert.deepEqual(received(), [
      [1, [50]],
      [3, [200]],
      [4, [70]],
    ]);
    assert.equal(errors(), 1);
  });

  test('with mergeable buffers, one that does not fit continues in the next ones, and so do those after it', () => {
    offer(20);
    fromNetwork(50, 750, 60, 450, 70);
    read(8, true);
    assert.deepEqual(received(), [
      [1, [50]],
      [2, [200, 200, 200, 150]],
      [3, [60]],
      [4, [200, 200, 50]],
      [5, [70]],
    ]);
    assert.deepEqual([errors(), batch.found, receive.driver.usedIndex], [0, 5, 10]);
  });

  test('packets without buffers are held until the driver adds some, in order', () => {
    offer(3);
    fromNetwork(50, 500, 60);
    read(3, true);
    assert.deepEqual([batch.heldFor, batch.found], [QUEUE, 3]);
    assert.deepEqual(received(), [[1, [50]]]);
    assert.deepEqual([deliverHeld(), received()], [false, []]);
    offer(1);
    assert.deepEqual([deliverHeld(), received()], [false, [[2, [200, 200, 100]]]]);
    offer(1);
    assert.deepEqual([deliverHeld(), received()], [true, [[3, [60]]]]);
    assert.equal(batch.heldFor, undefined);
    assert.equal(errors(), 0);
  });

  test('held packets are forgotten with the driver', () => {
    offer(3);
    fromNetwork(500, 900);
    read(3, true);
    assert.equal(batch.heldFor, QUEUE);
    batch.forget();
    assert.equal(batch.heldFor, undefined);
    assert.deepEqual([deliverHeld(), received()], [true, [[1, [200, 200, 100]]]]);
  });

  test('for buffers in several pieces of memory', () => {
    const { driver, queue, data } = receive;
    for (let index = 0; index < 4; index++) {
      const pieces = [5, 20, 300].map((length, piece) => ({
        iova: DATA + index * 0x1000 + piece * STEP,
        length,
        writable: true,
      }));
      driver.offer(driver.chain(pieces));
    }
    fromNetwork(100, HEADER_SIZE - 1, 110);
    read(4);
    assert.deepEqual([driver.collect()?.written, driver.collect()?.written], [100, 110]);
    for (const [index, [length, fill]] of [
      [100, 1],
      [110, 3],
    ].entries()) {
      const at = index * 0x1000;
      const bytes = [...data.u8.subarray(at + STEP + 7, at + STEP + 20), ...data.u8.subarray(at + 2 * STEP)];
      assert.deepEqual(bytes.slice(0, (length ?? 0) - HEADER_SIZE + 1), [
        ...new Uint8Array((length ?? 0) - HEADER_SIZE).fill(fill ?? 0),
        0,
      ]);
    }
    assert.equal(driver.usedIndex, 2);
    assert.equal(queue.ring.hasPending(), true);
  });
});

test('a buffer whose memory has disappeared: its packet is lost, and the thread notices when it copies there', (context) => {
  const guard = installMemoryGuard();
  if (!guard) {
    context.skip('no guard on this architecture');
    return;
  }
  useGuardedCopies(guard.copies);
  const table = MappingTable.allocate();
  const lost = new LostMemory(guard, table.shared.entries);
  const fd = checked('create a memory file', memfdCreate('gone', 0));
  checked('size it', ftruncate(fd, pageSize));
  const map = (): number => mapFile('map it', fd, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
  const mapped = table.add(pageSize, table.revocations, map);
  assert.ok(mapped);
  receive.memory.regions.push(
    new MemoryRegion({
      start: GONE,
      length: pageSize,
      address: mapped.transfer,
      readable: true,
      writable: true,
      buffer: viewMemory(mapped.view, pageSize),
    }),
  );
  offer(1);
  receive.driver.offer(receive.driver.chain([{ iova: GONE, length: 200, writable: true }]));
  offer(2);
  checked('truncate it', ftruncate(fd, 0));

  fromNetwork(50, 60);
  read(2);
  assert.deepEqual(received(), [[1, [50]]]);
  assert.deepEqual([batch.found, batch.ended, errors(), lost.check()], [2, false, 1, false]);

  fromNetwork(50, 60);
  read(2);
  assert.deepEqual([received(), errors(), lost.check()], [[], 3, true]);
  lost.end();
  close(fd);
});
