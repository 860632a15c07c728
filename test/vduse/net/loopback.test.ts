import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ETH_HLEN, HEADER_BUFFERS, HEADER_SIZE } from '../../../src/virtio/net.js';
import { MORE, QUIET, WAIT, type ServeResult } from '../../../src/vduse/engine/data-plane.js';
import { NetPlane } from '../../../src/vduse/net/data-plane.js';
import { LoopbackBackend } from '../../../src/vduse/net/backends/loopback.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';

const own = [2, 0, 0, 0, 0, 1];
const other = [2, 0, 0, 0, 0, 2];
const group = [1, 0, 0x5e, 0, 0, 1];
const SPACE = 2048;

let plane: NetPlane;
let receive: ReturnType<typeof setUpDeviceQueue>;
let transmit: ReturnType<typeof setUpDeviceQueue>;

beforeEach(() => {
  plane = new NetPlane(new LoopbackBackend(Uint8Array.from(own), { queueSize: 8 }));
  plane.start(0n);
  receive = setUpDeviceQueue({ native: true, index: 0 });
  transmit = setUpDeviceQueue({ native: true, index: 1 });
});

/** A packet with its header, in which every byte of the payload is `fill`. */
function packet(to: readonly number[], payload: number, fill = 0x42): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + ETH_HLEN + payload).fill(fill);
  bytes.fill(0xff, 0, HEADER_SIZE); // The driver's header is not passed on.
  bytes.set(to, HEADER_SIZE);
  return bytes;
}

let slot = 0;
/** Sends a packet, in pieces of this many bytes. */
function send(bytes: Uint8Array, piece = bytes.length): void {
  const { driver, data } = transmit;
  const at = (slot++ % 8) * SPACE;
  data.u8.set(bytes, at);
  const pieces = [];
  for (let from = 0; from < bytes.length; from += piece) {
    pieces.push({ iova: DATA + at + from, length: Math.min(piece, bytes.length - from) });
  }
  driver.offer(driver.chain(pieces));
}

/** Adds a buffer to receive into, in pieces of these lengths. */
function expectInto(at: number, ...lengths: readonly number[]): void {
  const { driver } = receive;
  let iova = DATA + at;
  const pieces = lengths.map((length) => {
    const piece = { iova, length, writable: true };
    iova += length;
    return piece;
  });
  driver.offer(driver.chain(pieces));
}

/** One round of the thread, which serves the receive queue and then the transmit queue. */
function round(): readonly [ServeResult, ServeResult] {
  return [plane.serve(receive.queue), plane.serve(transmit.queue)];
}

const arrived = (at: number, length: number): Uint8Array => receive.data.u8.slice(at, at + length);

describe('the loopback', () => {
  test('returns a packet to its own address, with a new header', () => {
    expectInto(0, SPACE);
    expectInto(SPACE, SPACE);
    const sent = packet(own, 100);
    send(sent);
    assert.deepEqual(round(), [QUIET, MORE]);
    assert.deepEqual(receive.driver.collect(), { head: 0, written: sent.length });
    const got = arrived(0, sent.length);
    assert.deepEqual([...got.subarray(0, HEADER_SIZE)], [...new Array<number>(HEADER_BUFFERS).fill(0), 1, 0]);
    assert.deepEqual(got.subarray(HEADER_SIZE), sent.subarray(HEADER_SIZE));
    assert.deepEqual(transmit.driver.collect(), { head: 0, written: 0 });
    assert.deepEqual([receive.interrupts, transmit.interrupts], [[0], [1]]);
    assert.deepEqual([transmit.counters.read().bytesOut, receive.counters.read().bytesIn], [114, 114]);
  });

  test('however both sides are split into pieces, including headers', () => {
    expectInto(0, 5, 1, 30, 500);
    const sent = packet(own, 300);
    for (let at = HEADER_SIZE + ETH_HLEN; at < sent.length; at++) sent[at] = at % 256;
    send(sent, 67);
    round();
    assert.deepEqual(receive.driver.collect()?.written, sent.length);
    assert.deepEqual(arrived(HEADER_SIZE, sent.length - HEADER_SIZE), sent.subarray(HEADER_SIZE));
    assert.equal(arrived(0, HEADER_SIZE)[HEADER_BUFFERS], 1);
  });

  test('a multicast packet comes back, one to another address does not', () => {
    expectInto(0, SPACE);
    send(packet(other, 10, 1));
    send(packet(group, 10, 2));
    round();
    receive.driver.collect();
    assert.equal(receive.driver.collect(), undefined);
    assert.equal(arrived(HEADER_SIZE + ETH_HLEN, 1)[0], 2);
    assert.equal(transmit.driver.usedIndex, 2);
    assert.equal(receive.counters.read().requests, 1);
  });

  const invalid: readonly (readonly [string, () => void])[] = [
    [
      'shorter than its headers',
      () => {
        send(packet(own, 0).subarray(0, HEADER_SIZE + ETH_HLEN - 1));
      },
    ],
    [
      'longer than allowed',
      () => {
        const { driver } = transmit;
        // The same memory several times.
        driver.offer(driver.chain(Array.from({ length: 3 }, () => ({ iova: DATA, length: 0x8000 }))));
      },
    ],
  ];
  for (const [what, sendInvalid] of invalid) {
    test(`a packet ${what} is dropped and counted, and the next one arrives`, () => {
      expectInto(0, SPACE);
      sendInvalid();
      send(packet(own, 1, 9));
      round();
      assert.equal(transmit.counters.read().errors, 1);
      assert.equal(transmit.driver.usedIndex, 2);
      assert.equal(arrived(HEADER_SIZE + ETH_HLEN, 1)[0], 9);
    });
  }

  test('a packet from memory that is not mapped is dropped', () => {
    expectInto(0, SPACE);
    const { driver } = transmit;
    driver.offer(driver.chain([{ iova: 0xdead_0000, length: 100 }]));
    round();
    assert.deepEqual([transmit.counters.read().errors, receive.driver.usedIndex], [1, 0]);
  });

  test('a buffer that is too small is returned empty, and counted', () => {
    expectInto(0, 100);
    send(packet(own, 200));
    round();
    assert.deepEqual(receive.driver.collect(), { head: 0, written: 0 });
    assert.equal(receive.counters.read().errors, 1);
  });

  test('without a buffer the packet waits until the driver adds one', () => {
    send(packet(own, 10, 1));
    send(packet(own, 10, 2));
    assert.deepEqual(round(), [WAIT, QUIET]);
    assert.equal(transmit.driver.usedIndex, 0, 'it was not taken');
    expectInto(0, SPACE);
    assert.deepEqual(round(), [QUIET, QUIET]);
    assert.equal(transmit.driver.usedIndex, 1);
    assert.equal(arrived(HEADER_SIZE + ETH_HLEN, 1)[0], 1);
    expectInto(SPACE, SPACE);
    round();
    assert.equal(arrived(SPACE + HEADER_SIZE + ETH_HLEN, 1)[0], 2);
  });

  test('without the receive queue nothing is sent, and nothing is lost', () => {
    send(packet(own, 10));
    assert.equal(plane.serve(transmit.queue), WAIT);
    expectInto(0, SPACE);
    plane.serve(receive.queue);
    receive.queue.broken = true;
    assert.equal(plane.serve(transmit.queue), WAIT, 'its ring is broken');
    receive.queue.broken = false;
    assert.equal(plane.serve(transmit.queue), QUIET);
    assert.equal(receive.driver.usedIndex, 1);
  });

  test('after a reset the previous queues are no longer used', () => {
    round();
    plane.start(0n);
    send(packet(own, 10));
    expectInto(0, SPACE);
    assert.equal(plane.serve(transmit.queue), WAIT);
    plane.close();
  });
});
