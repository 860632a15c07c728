/** Power failures of a disk with a volatile cache: each write that was answered before an answered flush is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as blk from '../../../src/virtio/block.js';
import { AsyncFileBackend } from '../../../src/vduse/block/backends/async-file.js';
import { FlushFailure } from '../../../src/vduse/block/backends/flush-failure.js';
import { BlockPlane } from '../../../src/vduse/block/data-plane.js';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import { MORE } from '../../../src/vduse/engine/data-plane.js';
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

interface InFlight {
  readonly type: number;
  readonly block: number;
  readonly content: number;
  /** For a flush: what each block must have if it succeeds. */
  readonly covers: Uint32Array;
}

/** What a driver of several queues knows of the blocks of its disk. */
class Knowledge {
  /** The last write that was answered, by block. */
  readonly answered: Uint32Array;
  /** What no power failure may undo. */
  readonly durable: Uint32Array;
  readonly busy = new Set<number>();
  flushes = 0;
  failedFlushes = 0;

  constructor(found: Uint32Array) {
    this.answered = found.slice();
    this.durable = found.slice();
  }
}

/** Every write has a number of its own; this is its block. */
const blockOf: number[] = [-1];

/** A queue with its data thread's plane and its driver. */
class Queue {
  readonly carrier: VolatileCarrier;
  readonly #plane: BlockPlane;
  readonly #parts = setUpDeviceQueue({ size: QUEUE_SIZE, native: true });
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #random: Random;
  readonly #known: Knowledge;
  readonly #writeThrough: boolean;
  readonly #inFlight = new Map<number, InFlight>();

  constructor(disk: VolatileDisk, random: Random, known: Knowledge, shared: Int32Array, writeThrough: boolean) {
    const { u8, address } = this.#parts.data;
    this.#words = new Uint32Array(u8.buffer, u8.byteOffset, u8.byteLength / 4);
    this.#view = new DataView(u8.buffer, u8.byteOffset);
    this.#random = random;
    this.#known = known;
    this.#writeThrough = writeThrough;
    this.carrier = new VolatileCarrier(disk, random, (at) => this.#words[(at - address) / 4] ?? 0);
    const size = BLOCKS * BLOCK_BYTES;
    const opened = { fd: -1, size, blockDevice: undefined, direct: undefined };
    const backend = new AsyncFileBackend(opened, this.carrier, new FlushFailure(shared, undefined));
    const limits = blockLimits({ size, readonly: false }, 'a disk');
    this.#plane = new BlockPlane(limits, backend, { queueSize: QUEUE_SIZE, ordered: random.chance(20) });
    this.#plane.start(writeThrough ? 0n : 1n << blk.VIRTIO_BLK_F_FLUSH);
  }

  offer(type: number): void {
    const { driver } = this.#parts;
    const { busy, answered } = this.#known;
    const slot = this.#random.below(SLOTS);
    const block = this.#random.below(BLOCKS);
    const writing = type === blk.VIRTIO_BLK_T_OUT;
    if (this.#inFlight.has(slot) || (writing && busy.has(block))) return;
    const content = blockOf.length;
    if (writing) {
      blockOf.push(block);
      busy.add(block);
    }
    const at = slot * SLOT_BYTES;
    const dataAt = at + BLOCK_BYTES;
    this.#words.fill(content, dataAt / 4, (dataAt + BLOCK_BYTES) / 4);
    this.#view.setUint32(at, type, true);
    this.#view.setBigUint64(at + 8, BigInt(writing ? block : 0), true);
    this.#view.setUint8(at + 16, 0xff);
    const head = slot * DESCRIPTORS;
    driver.descriptor(head, DATA + at, 16, 1, writing ? head + 1 : head + 2);
    driver.descriptor(head + 1, DATA + dataAt, BLOCK_BYTES, 1, head + 2);
    driver.descriptor(head + 2, DATA + at + 16, 1, 2);
    this.#inFlight.set(slot, { type, block, content, covers: writing ? answered : answered.slice() });
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
      this.#answered(request, this.#view.getUint8(slot * SLOT_BYTES + 16));
    }
  }

  #answered({ type, block, content, covers }: InFlight, status: number): void {
    const { durable, answered, busy } = this.#known;
    if (type === blk.VIRTIO_BLK_T_OUT) {
      busy.delete(block);
      if (status === 0) answered[block] = content;
      if (status === 0 && this.#writeThrough) durable[block] = content;
      assert.ok(status === 0 || this.#writeThrough, 'only flushes fail');
    } else if (status === 0) {
      this.#known.flushes++;
      covers.forEach((each, index) => (durable[index] = Math.max(each, durable[index] ?? 0)));
    } else {
      this.#known.failedFlushes++;
    }
  }
}

/** Serves a disk by two threads until its power fails. */
function untilPowerFails(disk: VolatileDisk, random: Random, writeThrough: boolean): Knowledge {
  const known = new Knowledge(disk.durable);
  const shared = new Int32Array(16);
  const queues = [0, 1].map(() => new Queue(disk, random, known, shared, writeThrough));
  for (let left = random.below(600); left > 0; left--) {
    const queue = queues[random.below(2)];
    if (!queue) break;
    const action = random.below(100);
    if (action < 35) queue.offer(blk.VIRTIO_BLK_T_OUT);
    else if (action < 50 && !writeThrough) queue.offer(blk.VIRTIO_BLK_T_FLUSH);
    else if (action < 75 && queue.carrier.step() === 'lost') {
      for (const { carrier } of queues) if (carrier !== queue.carrier) carrier.hasUnreportedLoss = true;
    } else queue.serve();
  }
  for (const { carrier } of queues) carrier.failPower();
  disk.failPower();
  return known;
}

for (const mode of ['flushes', 'a driver without flushes'] as const) {
  test(`${FAILURES} power failures with ${mode} (VDPA_SEED=${SEED}): what was flushed is there`, (context) => {
    const random = new Random(SEED);
    const disk = new VolatileDisk(BLOCKS, BLOCK_BYTES, random);
    let flushes = 0;
    let failed = 0;
    let checked = 0;
    for (let failure = 0; failure < FAILURES; failure++) {
      const known = untilPowerFails(disk, random, mode !== 'flushes');
      known.durable.forEach((least, block) => {
        const found = disk.durable[block] ?? 0;
        assert.ok(found >= least, `power failure ${failure}: block ${block} has ${found}, ${least} was flushed`);
        assert.ok(found === 0 || blockOf[found] === block, `block ${block} has what was written to another`);
        if (least > 0) checked++;
      });
      flushes += known.flushes;
      failed += known.failedFlushes;
    }
    context.diagnostic(
      `${flushes} flushes, ${failed} failed ones, ${blockOf.length} writes, ${checked} blocks checked`,
    );
    assert.ok(checked > FAILURES);
    if (mode === 'flushes') assert.ok(flushes > FAILURES && failed > 0);
  });
}
