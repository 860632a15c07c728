/** A driver that keeps the queues of a block device full of requests of one block each. */
import { randomInt } from 'node:crypto';
import { openEventfd, signalEventfd, type EventPoll } from '../../src/sys/events.js';
import { close } from '../../src/sys/libc.js';
import { HEADER_SIZE, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from '../../src/virtio/block.js';
import { createDriver } from '../../src/virtio/driver/create-driver.js';
import type { Buffer, RingDriver } from '../../src/virtio/driver/ring-driver.js';

/** The IOVA at which the memory of the driver begins. */
export const base = 0x1000_0000;
export const queueSize = 256;
const ringBytes = 0x10000;
const blockBytes = 4096;
const headerBytes = 32;
/** Descriptors of a request: header, data, status byte. */
const descriptors = 3;
const BLOCKS = 1 << 16;

export interface Load {
  readonly queues: number;
  readonly depth: number;
  /** Bytes of the device. */
  readonly size: number;
  readonly packed?: boolean;
}

/** The memory of a driver: the rings, the headers, and the data, which is aligned as a page cache has it. */
interface Memory {
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;
}

/** How much memory a driver needs, in bytes. */
export function memoryBytes(load: Load): number {
  return dataAt(load) + load.queues * load.depth * blockBytes;
}

function dataAt({ queues, depth }: Load): number {
  return Math.ceil((queues * (ringBytes + depth * headerBytes)) / blockBytes) * blockBytes;
}

export class LoadedQueue {
  readonly kick: number;
  readonly call = openEventfd();
  readonly ring: RingDriver;
  readonly #memory: Memory;
  readonly #view: DataView;
  /** Where each request's header is; its status byte follows it, its data starts at #data. */
  readonly #headers: number;
  readonly #data: number;
  /** The buffers of each request. */
  readonly #buffers: Buffer[][] = [];
  #type: number = VIRTIO_BLK_T_IN;
  /** The blocks of the next requests, in a circle: a generator takes longer than the rest of a request. */
  readonly #blocks: Uint32Array;
  #next = 0;

  /** @param kick an eventfd for the kicks, which the queue closes */
  constructor(memory: Memory, index: number, load: Load, kick = openEventfd()) {
    const { queues, depth, size } = load;
    this.kick = kick;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    const place = { buffer: memory.buffer, base, iova: base + index * ringBytes };
    this.ring = createDriver(load.packed === true, { ...place, size: queueSize, start: 0 });
    // A new packed ring wants an interrupt for each completion, a split one with an event index for the first only.
    this.ring.suppressInterrupts();
    this.#headers = queues * ringBytes + index * depth * headerBytes;
    this.#data = dataAt(load) + index * depth * blockBytes;
    const blocks = size / blockBytes;
    this.#blocks = Uint32Array.from({ length: BLOCKS }, () => randomInt(blocks));
  }

  /** Offers all requests for the first time. */
  begin(type: number, depth: number): void {
    this.#type = type;
    for (let slot = 0; slot < depth; slot++) {
      const header = this.#headers + slot * headerBytes;
      const data = base + this.#data + slot * blockBytes;
      const buffers = [
        { iova: base + header, length: HEADER_SIZE },
        { iova: data, length: blockBytes, writable: type === VIRTIO_BLK_T_IN },
        { iova: base + header + HEADER_SIZE, length: 1, writable: true },
      ];
      this.#buffers[slot] = buffers;
      this.ring.chainAt(slot * descriptors, buffers);
      this.#offer(slot);
    }
    this.#notify();
  }

  #offer(slot: number): void {
    const header = this.#headers + slot * headerBytes;
    this.#view.setUint32(header, this.#type, true);
    this.#view.setUint32(header + 8, (this.#blocks[this.#next++ % BLOCKS] ?? 0) * (blockBytes / 512), true);
    this.#view.setUint32(header + 12, 0, true);
    this.#memory.u8[header + HEADER_SIZE] = 0xff;
    // Drivers write the descriptors of each request. Those of a packed ring are written when they are offered.
    const buffers = this.#buffers[slot];
    if (buffers && !this.ring.packed) this.ring.chainAt(slot * descriptors, buffers);
    this.ring.offer(slot * descriptors);
  }

  #notify(): void {
    if (this.ring.needsKick()) signalEventfd(this.kick);
  }

  /** Collects completed requests, and offers as many again. @returns how many @throws Error if one failed */
  turn(again: boolean): number {
    let count = 0;
    for (let used = this.ring.collect(); used; used = this.ring.collect()) {
      const slot = used.head / descriptors;
      const status = this.#memory.u8[this.#headers + slot * headerBytes + HEADER_SIZE];
      if (status !== 0) throw new Error(`a request failed with status ${status ?? -1}`);
      count++;
      if (again) this.#offer(slot);
    }
    if (count > 0 && again) this.#notify();
    return count;
  }

  /** Requests an interrupt for the next completion. */
  arm(): void {
    this.ring.waitFor(1);
  }

  close(): void {
    close(this.kick);
    close(this.call);
  }
}

/**
 * Keeps the queues full for so many seconds.
 * @param poll becomes readable when a queue is called
 * @param spinning the driver never sleeps: what is measured is the device, and not how soon its driver is woken
 * @returns requests, and the seconds they took
 */
export function driveQueues(
  queues: readonly LoadedQueue[],
  poll: EventPoll,
  { depth }: Load,
  writing: boolean,
  seconds: number,
  spinning = false,
): { readonly requests: number; readonly seconds: number } {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  for (const queue of queues) queue.begin(writing ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, depth);
  let requests = 0;
  let time = begin;
  for (let open = queues.length * depth; open > 0;) {
    // Reading the clock costs a system call in the lab.
    const again = time < end;
    let count = 0;
    for (const queue of queues) count += queue.turn(again);
    requests += count;
    if (!again) open -= count;
    if (spinning && time < end) time = performance.now();
    if (count > 0 || spinning) continue;
    for (const queue of queues) queue.arm();
    for (const queue of queues) count += queue.turn(again);
    requests += count;
    if (!again) open -= count;
    if (count > 0) continue;
    poll.wait(-1);
    time = performance.now();
  }
  return { requests, seconds: (performance.now() - begin) / 1000 };
}
