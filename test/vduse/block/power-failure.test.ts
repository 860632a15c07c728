/** Power failures of a disk with a volatile cache: each write that was answered before an answered flush is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as blk from '../../../src/virtio/block.js';
import { AsyncFileBackend } from '../../../src/vduse/block/backends/async-file.js';
import { FlushFailure } from '../../../src/vduse/block/backends/flush-failure.js';
import { BlockPlane } from '../../../src/vduse/block/data-plane.js';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import { MORE } from '../../../src/vduse/engine/data-plane.js';
import { BlockHistory } from '../../support/block-history.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';
import { Random } from '../../support/random.js';
import { VolatileCarrier, VolatileDisk } from '../../support/volatile-disk.js';

const FAILURES = Number(process.env['VDPA_POWER_FAILURES'] ?? 500);
const SEED = Number(process.env['VDPA_SEED'] ?? Date.now() % 2 ** 31);
const BLOCKS = 64;
const BLOCK_BYTES = 512;
const QUEUE_SIZE = 64;
const DESCRIPTORS = 3;
/** Requests in flight, each with a header, a status byte and data. */
const SLOTS = 20;
const SLOT_BYTES = 1024;

type InFlight =
  | { readonly type: 'write'; readonly block: number; readonly number: number }
  | { readonly type: 'flush'; readonly covered: Uint32Array };

/** What the drivers of the queues of a disk share. */
interface Shared {
  readonly disk: VolatileDisk;
  readonly history: BlockHistory;
  readonly random: Random;
  readonly writeThrough: boolean;
  /** The words that data threads share. */
  readonly words: Int32Array;
  /** Blocks that are being written. */
  readonly busy: Set<number>;
  readonly count: { flushes: number; failed: number };
}

/** A queue with its data thread's plane and its driver. */
class Queue {
  readonly carrier: VolatileCarrier;
  readonly #plane: BlockPlane;
  readonly #parts = setUpDeviceQueue({ size: QUEUE_SIZE, native: true });
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #shared: Shared;
  readonly #inFlight = new Map<number, InFlight>();

  constructor(shared: Shared) {
    const { u8, address } = this.#parts.data;
    const { disk, random, words, writeThrough } = shared;
    this.#words = new Uint32Array(u8.buffer, u8.byteOffset, u8.byteLength / 4);
    this.#view = new DataView(u8.buffer, u8.byteOffset);
    this.#shared = shared;
    this.carrier = new VolatileCarrier(disk, random, (at) => this.#words[(at - address) / 4] ?? 0);
    const size = BLOCKS * BLOCK_BYTES;
    const opened = { fd: -1, size, blockDevice: undefined, direct: undefined };
    const backend = new AsyncFileBackend(opened, this.carrier, new FlushFailure(words, undefined));
    const limits = blockLimits({ size, readonly: false }, 'a disk');
    this.#plane = new BlockPlane(limits, backend, { queueSize: QUEUE_SIZE, ordered: random.chance(20) });
    this.#plane.start(writeThrough ? 0n : 1n << blk.VIRTIO_BLK_F_FLUSH);
  }

  offer(type: number): void {
    const { driver } = this.#parts;
    const { random, busy, history } = this.#shared;
    const slot = random.below(SLOTS);
    const block = random.below(BLOCKS);
    const writing = type === blk.VIRTIO_BLK_T_OUT;
    if (this.#inFlight.has(slot) || (writing && busy.has(block))) return;
    const number = writing ? history.write(block) : 0;
    if (writing) busy.add(block);
    const at = slot * SLOT_BYTES;
    const dataAt = at + BLOCK_BYTES;
    this.#words.fill(number, dataAt / 4, (dataAt + BLOCK_BYTES) / 4);
    this.#view.setUint32(at, type, true);
    this.#view.setBigUint64(at + 8, BigInt(writing ? block : 0), true);
    this.#view.setUint8(at + 16, 0xff);
    const head = slot * DESCRIPTORS;
    driver.chainAt(head, [
      { iova: DATA + at, length: 16 },
      ...(writing ? [{ iova: DATA + dataAt, length: BLOCK_BYTES }] : []),
      { iova: DATA + at + 16, length: 1, writable: true },
    ]);
    this.#inFlight.set(slot, writing ? { type: 'write', block, number } : { type: 'flush', covered: history.covered });
    driver.offer(head);
  }

  /** Serves the queue, and takes the answers. */
  serve(): void {
    while (this.#plane.serve(this.#parts.queue) === MORE);
    if (this.#plane.transfers?.waiter.wait(0) === true) this.#plane.transfers.reap();
    const { driver } = this.#parts;
    for (let used = driver.collect(); used; used = driver.collect()) {
      const slot = used.head / DESCRIPTORS;
      const request = this.#inFlight.get(slot);
      assert.ok(request, 'answered twice');
      this.#inFlight.delete(slot);
      this.#answered(request, this.#view.getUint8(slot * SLOT_BYTES + 16) === blk.VIRTIO_BLK_S_OK);
    }
  }

  #answered(request: InFlight, success: boolean): void {
    const { history, busy, count, writeThrough } = this.#shared;
    if (request.type === 'write') {
      busy.delete(request.block);
      if (success) history.wrote(request.block, request.number, writeThrough);
      assert.ok(success || writeThrough, 'only flushes fail');
    } else if (success) {
      count.flushes++;
      history.flushed(request.covered);
    } else {
      count.failed++;
    }
  }
}

/** Serves a disk by two threads until its power fails. */
function untilPowerFails(shared: Shared): void {
  const { disk, random, writeThrough } = shared;
  const queues = [new Queue(shared), new Queue(shared)] as const;
  for (let left = random.below(600); left > 0; left--) {
    const queue = random.pick(queues);
    const action = random.below(100);
    if (action < 35) queue.offer(blk.VIRTIO_BLK_T_OUT);
    else if (action < 50 && !writeThrough) queue.offer(blk.VIRTIO_BLK_T_FLUSH);
    else if (action < 75 && queue.carrier.step() === 'lost') {
      for (const { carrier } of queues) if (carrier !== queue.carrier) carrier.hasUnreportedLoss = true;
    } else queue.serve();
  }
  for (const { carrier } of queues) carrier.failPower();
  disk.failPower();
}

for (const writeThrough of [false, true]) {
  const driver = writeThrough ? 'a driver without flushes' : 'a driver that flushes';
  test(`${FAILURES} power failures under ${driver} (VDPA_SEED=${SEED}): what was flushed is there`, (context) => {
    const random = new Random(SEED);
    const disk = new VolatileDisk(BLOCKS, BLOCK_BYTES, random);
    const history = new BlockHistory(BLOCKS);
    const count = { flushes: 0, failed: 0 };
    let durable = 0;
    for (let failure = 0; failure < FAILURES; failure++) {
      const once = { words: new Int32Array(16), busy: new Set<number>() };
      untilPowerFails({ disk, history, random, writeThrough, count, ...once });
      durable += history.foundAfterPowerFailure(disk.durable, `power failure ${failure}`);
    }
    const { flushes, failed } = count;
    context.diagnostic(
      `${flushes} flushes, ${failed} failed ones, ${history.writes} writes, ${durable} blocks checked`,
    );
    assert.ok(durable > FAILURES);
    assert.ok(writeThrough || (flushes > FAILURES && failed > 0));
  });
}
