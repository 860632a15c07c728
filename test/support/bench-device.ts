/** A device without a kernel, in the memory of a benchmark's driver. */
import assert from 'node:assert/strict';
import type { LaneDriver } from '../../src/benchmark/lane.js';
import { featureMask } from '../../src/virtio/feature-mask.js';
import { createDriver } from '../../src/virtio/driver/create-driver.js';
import type { RingDriver } from '../../src/virtio/driver/ring-driver.js';
import { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { PackedQueue } from '../../src/virtio/packed-queue.js';
import { SplitQueue } from '../../src/virtio/split-queue.js';
import type { Virtqueue } from '../../src/virtio/virtqueue.js';
import { PlainMemory } from './plain-memory.js';
import { createChains } from './queue-and-driver.js';

const BASE = 0x1000_0000;
const QUEUE_BYTES = 0x4000;
/** The IOVA of the memory of lanes. */
export const LANES = BASE + 0x10000;
const SIZE = 64;

/** What a device does with a chain. @returns the number of bytes that it has written; undefined to keep the chain */
export type Handler = (chain: DescriptorChain) => number | undefined;

/** Its queues, and the kicks that it got. */
export class BenchDevice implements LaneDriver {
  readonly view: DataView;
  readonly accepted: bigint;
  readonly kicks: number[];
  readonly #rings: RingDriver[] = [];
  readonly #queues: Virtqueue[] = [];
  readonly #chain = new DescriptorChain(SIZE * 2);

  constructor({ packed = false, eventIndex = false, queues = 1 } = {}) {
    const memory = new PlainMemory();
    const region = memory.map(BASE, 2 ** 21);
    const buffer = region.u8.buffer as ArrayBuffer;
    this.view = new DataView(buffer);
    this.accepted = eventIndex ? featureMask(undefined, ['RING_EVENT_IDX']) : 0n;
    this.kicks = Array.from({ length: queues }, () => 0);
    for (let index = 0; index < queues; index++) {
      const ring = createDriver(packed, { buffer, base: BASE, iova: BASE + index * QUEUE_BYTES, size: SIZE, start: 0 });
      const { descriptorArea, driverArea, deviceArea } = ring;
      const areas = { descriptorArea, driverArea, deviceArea };
      const layout = { packed, size: SIZE, ...areas, eventIndex, indirect: true, maxChain: SIZE };
      const queue = packed
        ? PackedQueue.map(memory, layout, ring.base & 0xffff, createChains(SIZE))
        : SplitQueue.map(memory, layout, 0);
      assert.ok(queue);
      this.#rings.push(ring);
      this.#queues.push(queue);
    }
  }

  at(iova: number): number {
    return iova - BASE;
  }

  ring(queue: number): RingDriver {
    return this.#rings[queue] ?? assert.fail(`no queue ${queue}`);
  }

  kick(queue: number): void {
    this.kicks[queue] = (this.kicks[queue] ?? 0) + 1;
  }

  /** Completes the chains of a queue. @returns whether the driver wants an interrupt */
  serve(queue: number, handle: Handler): boolean {
    const device = this.#queues[queue] ?? assert.fail(`no queue ${queue}`);
    device.disableKicks();
    while (device.take(this.#chain)) {
      const written = handle(this.#chain);
      if (written === undefined) {
        device.putBack(1);
        break;
      }
      device.complete(this.#chain.head, written);
    }
    device.publish();
    const isWanted = device.needsInterrupt();
    device.enableKicks();
    return isWanted;
  }
}
