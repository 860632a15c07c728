/** Requests to a disk that are kept in flight on one queue. */
import * as blk from '../virtio/block.js';
import type { Buffer, UsedSlot } from '../virtio/driver/ring-driver.js';
import { DriverError } from '../vhost/error.js';
import { QuietQueue, type Lane, type LaneDriver } from './lane.js';
import { descriptorsOf, ringDescriptorsOf, type BlockLoad } from './load.js';
import type { Meter } from './meter.js';
import { operationsOf } from './patterns.js';

const PAGE = 4096;
/** The header of a request, followed by its status. */
const HEAD_BYTES = 32;
const DESCRIPTOR_BYTES = 16;
/** A status that no device writes. */
const NO_STATUS = 0xff;

const statusNames: ReadonlyMap<number, string> = new Map([
  [blk.VIRTIO_BLK_S_IOERR, 'IOERR'],
  [blk.VIRTIO_BLK_S_UNSUPP, 'UNSUPP'],
]);

const roundUp = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

/** The memory of a lane, in bytes. */
export function blockLaneBytes(load: BlockLoad): number {
  return dataAt(load) + load.depth * roundUp(load.blockSize, PAGE);
}

/** Where the data begins: after the heads and the indirect tables. */
function dataAt(load: BlockLoad): number {
  const chains = load.depth * operationsOf(load.pattern).length;
  return roundUp(load.depth * HEAD_BYTES + chains * descriptorsOf(load) * DESCRIPTOR_BYTES, PAGE);
}

export class BlockLane implements Lane {
  readonly queues: readonly number[];
  inFlight = 0;
  readonly #queue: QuietQueue;
  readonly #view: DataView;
  readonly #load: BlockLoad;
  /** Offsets of the heads in the memory. */
  readonly #heads: number;
  /** VIRTIO_BLK_T_IN or VIRTIO_BLK_T_OUT of each operation. */
  readonly #types: readonly number[];
  /** The descriptors of the ring for each chain: one for every slot and operation. */
  readonly #stride: number;
  /** When each slot was offered; NaN while it is not in flight. */
  readonly #offered: Float64Array;
  readonly #operation: Uint8Array;
  /** The slots that were completed in a turn. */
  readonly #completed: Uint16Array;
  readonly #used: UsedSlot = { head: 0, written: 0 };
  readonly #isRandom: boolean;
  /** The next block of a sequential load. */
  #next: number;

  /**
   * @param iova of {@link blockLaneBytes} bytes of memory for its requests, at the begin of a page
   * @param share which part of the disk a sequential load begins at, from 0 to 1
   */
  constructor(driver: LaneDriver, queue: number, load: BlockLoad, iova: number, share = 0) {
    this.queues = [queue];
    this.#queue = new QuietQueue(driver, queue);
    this.#view = driver.view;
    this.#load = load;
    this.#heads = driver.at(iova);
    this.#types = operationsOf(load.pattern).map((name) =>
      name === 'read' ? blk.VIRTIO_BLK_T_IN : blk.VIRTIO_BLK_T_OUT,
    );
    this.#stride = ringDescriptorsOf(load);
    this.#offered = new Float64Array(load.depth).fill(Number.NaN);
    this.#operation = new Uint8Array(load.depth);
    this.#completed = new Uint16Array(load.depth);
    this.#isRandom = load.pattern.startsWith('rand');
    this.#next = Math.floor(share * load.blocks);
    for (let slot = 0; slot < load.depth; slot++) {
      for (const [operation, type] of this.#types.entries()) this.#writeChain(slot, operation, type, iova);
    }
  }

  /** Writes the descriptors of a chain, which all its requests have: devices do not change them. */
  #writeChain(slot: number, operation: number, type: number, iova: number): void {
    const { blockSize, segmentBytes, depth } = this.#load;
    const head = iova + slot * HEAD_BYTES;
    const data = iova + dataAt(this.#load) + slot * roundUp(blockSize, PAGE);
    const writable = type === blk.VIRTIO_BLK_T_IN;
    const buffers: Buffer[] = [{ iova: head, length: blk.HEADER_SIZE }];
    for (let at = 0; at < blockSize; at += segmentBytes) {
      buffers.push({ iova: data + at, length: Math.min(segmentBytes, blockSize - at), writable });
    }
    buffers.push({ iova: head + blk.HEADER_SIZE, length: 1, writable: true });
    const chain = slot * this.#types.length + operation;
    const { ring } = this.#queue;
    if (this.#load.indirect) {
      const table = iova + depth * HEAD_BYTES + chain * buffers.length * DESCRIPTOR_BYTES;
      ring.indirectChainAt(chain, buffers, table);
    } else {
      ring.chainAt(chain * this.#stride, buffers);
    }
  }

  fill(meter: Meter): void {
    const now = meter.read();
    for (let slot = 0; slot < this.#load.depth; slot++) {
      if (Number.isNaN(this.#offered[slot])) this.#offer(slot, now);
    }
    this.#queue.notify();
  }

  turn(meter: Meter, again: boolean): number {
    const used = this.#used;
    const completed = this.#completed;
    let count = 0;
    while (count < completed.length && this.#queue.ring.collectInto(used)) {
      completed[count++] = this.#slotOf(used.head);
    }
    if (count === 0) return 0;
    const now = meter.read();
    for (let index = 0; index < count; index++) {
      const slot = completed[index] ?? 0;
      meter.count(this.#operation[slot] ?? 0, now - (this.#offered[slot] ?? now));
      this.#offered[slot] = Number.NaN;
    }
    this.inFlight -= count;
    if (!again) return count;
    for (let index = 0; index < count; index++) this.#offer(completed[index] ?? 0, now);
    this.#queue.notify();
    return count;
  }

  /** The slot of a completed chain. @throws DriverError if it was not in flight, or the request failed */
  #slotOf(head: number): number {
    const chain = head / this.#stride;
    const slot = Math.floor(chain / this.#types.length);
    const offered = this.#offered[slot];
    if (!Number.isInteger(chain) || offered === undefined || Number.isNaN(offered)) {
      throw new DriverError(`the device has completed descriptor ${head}, which is not in flight`);
    }
    const status = this.#view.getUint8(this.#heads + slot * HEAD_BYTES + blk.HEADER_SIZE);
    if (status !== blk.VIRTIO_BLK_S_OK) {
      const what = this.#types[this.#operation[slot] ?? 0] === blk.VIRTIO_BLK_T_IN ? 'read' : 'write';
      throw new DriverError(`a ${what} has failed with status ${statusNames.get(status) ?? status}`);
    }
    return slot;
  }

  #offer(slot: number, now: number): void {
    const { blocks, blockSize } = this.#load;
    const operation = this.#types.length > 1 && Math.random() < 0.5 ? 1 : 0;
    const block = this.#isRandom ? Math.floor(Math.random() * blocks) : this.#nextBlock();
    const sector = block * (blockSize / blk.SECTOR_SIZE);
    const head = this.#heads + slot * HEAD_BYTES;
    this.#view.setUint32(head, this.#types[operation] ?? 0, true);
    this.#view.setUint32(head + 8, sector >>> 0, true);
    this.#view.setUint32(head + 12, Math.floor(sector / 0x1_0000_0000), true);
    this.#view.setUint8(head + blk.HEADER_SIZE, NO_STATUS);
    this.#operation[slot] = operation;
    this.#offered[slot] = now;
    this.inFlight++;
    this.#queue.ring.offer((slot * this.#types.length + operation) * this.#stride);
  }

  #nextBlock(): number {
    const block = this.#next;
    this.#next = block + 1 < this.#load.blocks ? block + 1 : 0;
    return block;
  }

  expire(): void {
    // What a disk does not complete is an error.
  }

  arm(): void {
    this.#queue.arm();
  }

  disarm(): void {
    this.#queue.disarm();
  }
}
