import '../lab/inside.js';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
} from '../../../../src/virtio/block.js';
import type { BlockHistory } from '../../block-history.js';
import type { Random } from '../../random.js';
import type { Buffer as Piece } from '../../../../src/virtio/driver/ring-driver.js';
import { REPLY_TIMEOUT_MS } from '../lab/patience.js';
import { DATA, VhostDriver } from '../../../../src/vhost/driver.js';

export const BLOCK_BYTES = 4096;
const SECTORS = BLOCK_BYTES / 512;
const QUEUE_SIZE = 128;
const DESCRIPTORS = 3;
/** Requests in flight in each queue. */
export const DEPTH = 32;
/** The space for the buffers of a queue; headers and status bytes come first. */
const QUEUE_BYTES = 0x40000;
const HEADER_BYTES = 64;
const BLOCKS_AT = 0x1000;
const UNTOUCHED = 0xee;

type InFlight =
  | { readonly type: 'write' | 'read'; readonly block: number; readonly number: number }
  | { readonly type: 'flush'; readonly covered: Uint32Array };

/** What {@link BlockLoad.fill} makes. */
export type Mix = 'reads' | 'writes' | 'all';

/**
 * A driver through vhost-vdpa that keeps its queues full of reads, writes and flushes of whole blocks, and checks every
 * answer. No two requests in flight have the same block.
 */
export class BlockLoad extends VhostDriver {
  /** Answers of requests that succeeded. */
  answered = 0;
  /** Answers of requests that failed, by block; undefined for a flush. */
  readonly failed: (number | undefined)[] = [];
  readonly #history: BlockHistory;
  readonly #random: Random;
  readonly #queues: number;
  readonly #inFlight = new Map<number, InFlight>();
  readonly #busy = new Set<number>();
  readonly #words: Uint32Array;
  #flushes = true;

  constructor(node: string, history: BlockHistory, random: Random, queues = 1) {
    super(node, { queues, queueSize: QUEUE_SIZE });
    this.#history = history;
    this.#random = random;
    this.#queues = queues;
    this.#words = new Uint32Array(this.memory.buffer);
  }

  /** Resets the device. Requests in flight are forgotten: each was carried out or not. */
  reset(): void {
    this.vhost.status = 0;
    this.#inFlight.clear();
    this.#busy.clear();
  }

  /** Resets the device and starts it. */
  begin({ flushes = true } = {}): void {
    this.reset();
    const refused = (1n << 29n) | (flushes ? 0n : 1n << VIRTIO_BLK_F_FLUSH);
    this.#flushes = flushes && (this.vhost.features() & (1n << VIRTIO_BLK_F_FLUSH)) !== 0n;
    this.start({ queueSize: QUEUE_SIZE, features: (offered) => offered & ~refused });
  }

  /** The size of the device, in bytes. */
  get capacity(): number {
    const config = this.vhost.config(0, 8);
    return Number(new DataView(config.buffer, config.byteOffset).getBigUint64(0, true)) * 512;
  }

  get pending(): number {
    return this.#inFlight.size;
  }

  /** Fills the queues. */
  fill(mix: Mix = 'all', blocks = this.#history.blocks): void {
    for (let queue = 0; queue < this.#queues; queue++) {
      for (let slot = 0; slot < DEPTH; slot++) {
        if (!this.#inFlight.has(queue * DEPTH + slot)) this.#offer(queue, slot, this.#choose(mix, blocks));
      }
      this.kick(queue);
    }
  }

  #choose(mix: Mix, blocks: number): InFlight | undefined {
    const block = this.#random.below(blocks);
    if (mix === 'all' && this.#flushes && this.#random.chance(4)) {
      return { type: 'flush', covered: this.#history.covered };
    }
    if (this.#busy.has(block)) return undefined;
    const writing = mix === 'writes' || (mix === 'all' && this.#random.chance(65));
    return writing ? { type: 'write', block, number: this.#history.write(block) } : { type: 'read', block, number: 0 };
  }

  #offer(queue: number, slot: number, request: InFlight | undefined): void {
    if (request === undefined) return;
    const ring = this.ring(queue);
    const header = DATA + queue * QUEUE_BYTES + slot * HEADER_BYTES;
    const data = DATA + queue * QUEUE_BYTES + BLOCKS_AT + slot * BLOCK_BYTES;
    const status = header + HEADER_BYTES / 2;
    const head = slot * DESCRIPTORS;
    const type = { write: VIRTIO_BLK_T_OUT, read: VIRTIO_BLK_T_IN, flush: VIRTIO_BLK_T_FLUSH }[request.type];
    this.view.setUint32(this.at(header), type, true);
    this.view.setBigUint64(this.at(header) + 8, 0n, true);
    this.view.setUint8(this.at(status), UNTOUCHED);
    const buffers: Piece[] = [{ iova: header, length: 16 }];
    if (request.type !== 'flush') {
      this.view.setBigUint64(this.at(header) + 8, BigInt(request.block * SECTORS), true);
      const writing = request.type === 'write';
      const word = this.at(data) / 4;
      this.#words.fill(writing ? request.number : 0xffff_ffff, word, word + BLOCK_BYTES / 4);
      buffers.push({ iova: data, length: BLOCK_BYTES, writable: !writing });
      this.#busy.add(request.block);
    }
    ring.chainAt(head, [...buffers, { iova: status, length: 1, writable: true }]);
    this.#inFlight.set(queue * DEPTH + slot, request);
    ring.offer(head);
  }

  /** Takes the answers there are, and checks them. */
  collect(): void {
    for (let queue = 0; queue < this.#queues; queue++) {
      const ring = this.ring(queue);
      for (let used = ring.collect(); used; used = ring.collect()) this.#take(queue, used.head / DESCRIPTORS);
    }
  }

  #take(queue: number, slot: number): void {
    const request = this.#inFlight.get(queue * DEPTH + slot);
    assert.ok(request, `queue ${queue}: slot ${slot} was answered, which is not in flight`);
    this.#inFlight.delete(queue * DEPTH + slot);
    const at = this.at(DATA + queue * QUEUE_BYTES);
    const status = this.view.getUint8(at + slot * HEADER_BYTES + HEADER_BYTES / 2);
    assert.notEqual(status, UNTOUCHED, 'a request was answered without a status');
    if (request.type !== 'flush') this.#busy.delete(request.block);
    if (status !== VIRTIO_BLK_S_OK) {
      this.failed.push(request.type === 'flush' ? undefined : request.block);
      return;
    }
    this.answered++;
    if (request.type === 'flush') this.#history.flushed(request.covered);
    else if (request.type === 'write') this.#history.wrote(request.block, request.number, !this.#flushes);
    else this.#history.found(request.block, this.#numberAt((at + BLOCKS_AT) / 4 + (slot * BLOCK_BYTES) / 4), 'a read');
  }

  /** The number of a block in memory, all of whose words have it. */
  #numberAt(word: number): number {
    return numberOf(this.#words.subarray(word, word + BLOCK_BYTES / 4));
  }

  /** Keeps the queues full until so many milliseconds have passed. */
  async run(milliseconds: number, mix: Mix = 'all', blocks = this.#history.blocks): Promise<void> {
    for (const end = performance.now() + milliseconds; performance.now() < end;) {
      this.fill(mix, blocks);
      await sleep(1);
      this.collect();
    }
  }

  /** Writes until each of the first blocks has been written. */
  async writeAll(blocks: number, timeoutMs: number): Promise<void> {
    const first = this.#history.writes;
    for (const end = performance.now() + timeoutMs; !this.#history.hasAll(blocks, first);) {
      assert.ok(performance.now() < end, `not all of ${blocks} blocks were written`);
      await this.run(10, 'writes', blocks);
    }
  }

  /** Waits until everything is answered. */
  async settle(): Promise<void> {
    const end = performance.now() + REPLY_TIMEOUT_MS;
    while (this.pending > 0) {
      assert.ok(performance.now() < end, `${this.pending} requests are not answered`);
      await sleep(1);
      this.collect();
    }
  }
}

/** The number of a block, all of whose words have it. */
export function numberOf(words: Uint32Array): number {
  const number = words[0] ?? 0;
  assert.ok(
    words.every((word) => word === number),
    `a block has two writes: ${[...new Set(words)].slice(0, 4).join(' ')}`,
  );
  return number;
}

/** The numbers of the blocks of a disk or a file, from its content. */
export function numbersOf(content: Buffer): Uint32Array {
  const words = new Uint32Array(content.buffer, content.byteOffset, content.length / 4);
  const each = BLOCK_BYTES / 4;
  return Uint32Array.from({ length: words.length / each }, (_, block) =>
    numberOf(words.subarray(block * each, (block + 1) * each)),
  );
}
