import { copyMemory, NativeBuffer } from '../../sys/memory.js';
import { IoVector } from '../../sys/io-vector.js';
import { DescriptorChain } from '../../virtio/descriptor-chain.js';
import * as net from '../../virtio/net.js';
import { BYTES_IN, BYTES_OUT, ERRORS, REQUESTS } from '../counters.js';
import { MORE, QUIET, WAIT, type DataPlaneContext, type Served } from '../data-plane.js';
import type { DeviceQueue } from '../device-queue.js';
import type { NetBackend } from '../net-plane.js';

/** Packets before the driver is told of them, and before other queues get their turn. */
const BATCH = 64;

/**
 * A network of the device alone: a packet to its own address, or to many, comes back on the same pair of queues. The
 * kernel's simulated network device does the same.
 */
export class LoopbackBackend implements NetBackend {
  readonly #mac: Uint8Array;
  readonly #sent: DescriptorChain;
  readonly #received: DescriptorChain;
  readonly #from: IoVector;
  readonly #to: IoVector;
  readonly #destination = new Uint8Array(net.ETH_ALEN);
  /** What a received packet's header says: it takes one buffer, and has no more to it. */
  readonly #header = new NativeBuffer(net.HEADER_SIZE);

  constructor(mac: Uint8Array, context: Pick<DataPlaneContext, 'queueSize'>) {
    this.#mac = mac;
    this.#sent = new DescriptorChain(context.queueSize * 2);
    this.#received = new DescriptorChain(context.queueSize * 2);
    this.#from = new IoVector(this.#sent.capacity + 1);
    this.#to = new IoVector(this.#received.capacity);
    this.#header.u8[net.HEADER_BUFFERS] = 1;
  }

  start(): void {
    // No offload is offered, so there is none to heed.
  }

  receive(receiving: DeviceQueue): Served {
    return receiving.ring.pending() === 0 ? WAIT : QUIET;
  }

  transmit(sending: DeviceQueue, receiving: DeviceQueue | undefined): Served {
    if (!receiving) return WAIT;
    let count = 0;
    let waits = false;
    while (count < BATCH) {
      // A packet waits for the driver to bring a buffer to receive it.
      if (receiving.ring.pending() === 0 && !receiving.ring.enableKicks()) {
        waits = true;
        break;
      }
      if (!sending.ring.take(this.#sent)) break;
      count++;
      sending.ring.complete(this.#sent.head, 0);
      this.#pass(sending, receiving);
    }
    if (count > 0) {
      sending.count(REQUESTS, count);
      receiving.flush();
      sending.flush();
    }
    if (waits) return QUIET;
    return count === 0 ? WAIT : MORE;
  }

  #pass(sending: DeviceQueue, receiving: DeviceQueue): void {
    const sent = this.#sent;
    const length = sent.readableBytes;
    if (sent.fault !== undefined || length < net.HEADER_SIZE + net.ETH_HLEN || length > net.MAX_PACKET) {
      sending.count(ERRORS, 1);
      return;
    }
    sending.count(BYTES_OUT, length - net.HEADER_SIZE);
    sent.read(this.#destination, net.HEADER_SIZE);
    if (!this.#isOurs()) return;
    if (!receiving.ring.take(this.#received)) return;
    const received = this.#received;
    const fits = received.fault === undefined && received.writableBytes >= length;
    receiving.ring.complete(received.head, fits ? length : 0);
    if (!fits) {
      receiving.count(ERRORS, 1);
      return;
    }
    this.#copy(length);
    receiving.count(REQUESTS, 1);
    receiving.count(BYTES_IN, length - net.HEADER_SIZE);
  }

  /** Whether the packet is for this device: to its address, or to a group. */
  #isOurs(): boolean {
    if (((this.#destination[0] ?? 0) & 1) === 1) return true;
    return this.#destination.every((byte, index) => byte === this.#mac[index]);
  }

  /** Copies the packet that was sent to the buffer that was taken for it, with a header of its own. */
  #copy(length: number): void {
    const from = this.#from;
    const to = this.#to;
    from.count = 0;
    to.count = 0;
    from.push(this.#header.address, net.HEADER_SIZE);
    this.#sent.gather(from, false, net.HEADER_SIZE, length - net.HEADER_SIZE);
    this.#received.gather(to, true, 0, length);
    let source = 0;
    let sourceDone = 0;
    for (let target = 0; target < to.count; target++) {
      for (let done = 0; done < to.length(target);) {
        const piece = Math.min(to.length(target) - done, from.length(source) - sourceDone);
        copyMemory(to.base(target) + done, from.base(source) + sourceDone, piece);
        done += piece;
        sourceDone += piece;
        if (sourceDone < from.length(source)) continue;
        source++;
        sourceDone = 0;
      }
    }
  }

  close(): void {
    this.#from.free();
    this.#to.free();
    this.#header.free();
  }
}
