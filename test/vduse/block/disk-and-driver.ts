import assert from 'node:assert/strict';
import * as blk from '../../../src/virtio/block.js';
import type { BlockBackend } from '../../../src/vduse/block/backend.js';
import { BlockPlane, type BlockLimits } from '../../../src/vduse/block/data-plane.js';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import { MORE, type ServeResult } from '../../../src/vduse/engine/data-plane.js';
import { setUpDeviceQueue } from '../../support/device-queue.js';
import { DATA } from '../../support/queue-and-driver.js';
import type { Buffer as Piece } from '../../../src/virtio/driver/ring-driver.js';

/** A driver's request. */
export interface DriverRequest {
  readonly type: number;
  readonly sector?: number | bigint;
  /** Data for the device. */
  readonly out?: Uint8Array;
  /** How many bytes of data are expected. */
  readonly in?: number;
}

/** The device's result of a request. */
export interface DriverResult {
  readonly status: number;
  /** How many bytes the device reports as written. */
  readonly written: number;
  readonly data: Uint8Array;
}

/** Where a request is in the driver's memory. */
interface Sent {
  readonly statusAt: number;
  readonly dataAt: number;
  readonly length: number;
}

/** A block device on a backend and its driver, without a kernel between the two. */
export class Disk {
  readonly plane: BlockPlane;
  readonly #parts: ReturnType<typeof setUpDeviceQueue>;
  readonly #sent = new Map<number, Sent>();
  #free = 0;

  constructor(
    backend: BlockBackend,
    options: {
      readonly size: number;
      readonly limits?: Partial<BlockLimits>;
      readonly features?: bigint;
      readonly ordered?: boolean;
    },
  ) {
    const { size, limits = {}, features = 1n << blk.VIRTIO_BLK_F_FLUSH, ordered = false } = options;
    this.#parts = setUpDeviceQueue({ size: 64, native: true });
    this.plane = new BlockPlane({ ...blockLimits({ size, readonly: false }, 'a disk'), ...limits }, backend, {
      queueSize: 64,
      ordered,
    });
    this.plane.start(features);
  }

  get counters(): Record<string, number> {
    return this.#parts.counters.read();
  }

  get interrupts(): number {
    return this.#parts.interrupts.length;
  }

  /** Serves the queue once. */
  serve(): ServeResult {
    return this.plane.serve(this.#parts.queue);
  }

  /** Places bytes in the driver's memory. @returns their IOVA */
  place(bytes: Uint8Array): number {
    const at = this.#free;
    // The next one is aligned, and not adjacent.
    this.#free += Math.ceil(bytes.length / 16) * 16 + 16;
    this.#parts.data.u8.set(bytes, at);
    return DATA + at;
  }

  /** Offers a chain. @returns its head */
  offer(pieces: readonly Piece[]): number {
    const { driver } = this.#parts;
    const head = driver.chain(pieces);
    driver.offer(head);
    return head;
  }

  /** Offers a request. @returns its head */
  request({ type, sector = 0, out = new Uint8Array(0), in: length = 0 }: DriverRequest): number {
    const header = new Uint8Array(blk.HEADER_SIZE);
    new DataView(header.buffer).setUint32(0, type, true);
    new DataView(header.buffer).setBigUint64(8, BigInt(sector), true);
    const headerAt = this.place(header);
    const outAt = this.place(out);
    const dataAt = this.place(new Uint8Array(length).fill(0xee));
    const statusAt = this.place(Uint8Array.of(0xff));
    const head = this.offer([
      { iova: headerAt, length: blk.HEADER_SIZE },
      ...(out.length > 0 ? [{ iova: outAt, length: out.length }] : []),
      ...(length > 0 ? [{ iova: dataAt, length, writable: true }] : []),
      { iova: statusAt, length: 1, writable: true },
    ]);
    this.#sent.set(head, { statusAt, dataAt, length });
    return head;
  }

  /** Serves everything that was offered. @returns the results, in the order of completion */
  results(): { readonly head: number; readonly result: DriverResult }[] {
    while (this.serve() === MORE);
    const results = [];
    for (let used = this.#parts.driver.collect(); used; used = this.#parts.driver.collect()) {
      const { head, written } = used;
      const { statusAt = DATA, dataAt = DATA, length = 0 } = this.#sent.get(head) ?? {};
      const { u8 } = this.#parts.data;
      const data = u8.slice(dataAt - DATA, dataAt - DATA + length);
      results.push({ head, result: { status: u8[statusAt - DATA] ?? -1, written, data } });
    }
    return results;
  }

  /** Makes one request and serves it. */
  do(request: DriverRequest): DriverResult {
    const head = this.request(request);
    const [only, ...more] = this.results();
    assert.ok(only);
    assert.deepEqual([only.head, more.length], [head, 0]);
    return only.result;
  }

  /** One byte of the driver's memory. */
  byteAt(iova: number): number | undefined {
    return this.#parts.data.u8[iova - DATA];
  }
}

/** The range of a discard or a write of zeros. */
export function range(sector: number | bigint, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(blk.RANGE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return bytes;
}
