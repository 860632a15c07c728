import { copyMemory } from '../../../sys/guarded-copy.js';
import { IoVector } from '../../../sys/io-vector.js';
import { DescriptorChain } from '../../../virtio/descriptor-chain.js';
import * as net from '../../../virtio/net.js';
import { BYTES_IN, BYTES_OUT, ERRORS, REQUESTS } from '../../engine/counters.js';
import { MORE, QUIET, WAIT, type DataPlaneContext, type ServeResult } from '../../engine/data-plane.js';
import type { DeviceQueue } from '../../engine/queue.js';
import type { NetBackend } from '../data-plane.js';

/** Number of packets before the driver is notified and other queues are served. */
const BATCH = 256;

/**
 * A network with this device only: packets to its own address and to groups are received on the same pair of queues.
 * The kernel's network simulator does the same.
 */
export class LoopbackBackend implements NetBackend {
  readonly #mac: Uint8Array;
  readonly #sent: DescriptorChain;
  readonly #received: DescriptorChain;
  readonly #from: IoVector;
  readonly #to: IoVector;

  constructor(mac: Uint8Array, context: Pick<DataPlaneContext, 'queueSize'>) {
    this.#mac = mac;
    this.#sent = new DescriptorChain(context.queueSize * 2);
    this.#received = new DescriptorChain(context.queueSize * 2);
    this.#from = new IoVector(this.#sent.capacity);
    this.#to = new IoVector(this.#received.capacity);
  }

  start(): void {
    // No offloads are offered, so there are none to handle.
  }

  receive(receiving: DeviceQueue): ServeResult {
    return receiving.ring.hasPending() ? QUIET : WAIT;
  }

  transmit(sending: DeviceQueue, receiving: DeviceQueue | undefined): ServeResult {
    if (!receiving) return WAIT;
    let count = 0;
    let waits = false;
    while (count < BATCH) {
      // A packet waits for the driver to add a receive buffer.
      if (!receiving.ring.hasPending() && !receiving.ring.enableKicks()) {
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
    if (!this.#isOurs(sent)) return;
    if (!receiving.ring.take(this.#received)) return;
    const received = this.#received;
    const copied = received.fault === undefined && received.writableBytes >= length && this.#copy(length);
    receiving.ring.complete(received.head, copied ? length : 0);
    if (!copied) {
      receiving.count(ERRORS, 1);
      return;
    }
    receiving.count(REQUESTS, 1);
    receiving.count(BYTES_IN, length - net.HEADER_SIZE);
  }

  /** Whether the packet is for this device: to its address, or to a group. */
  #isOurs(sent: DescriptorChain): boolean {
    const first = sent.readByte(net.HEADER_SIZE);
    if ((first & 1) === 1) return true;
    if (first !== this.#mac[0]) return false;
    for (let octet = 1; octet < net.ETH_ALEN; octet++) {
      if (sent.readByte(net.HEADER_SIZE + octet) !== this.#mac[octet]) return false;
    }
    return true;
  }

  /**
   * Copies a sent packet to the buffer taken for it, with a new header.
   * @returns false if its memory has disappeared
   */
  #copy(length: number): boolean {
    const from = this.#from;
    const to = this.#to;
    from.count = 0;
    to.count = 0;
    this.#sent.gather(from, false, 0, length);
    this.#received.gather(to, true, 0, length);
    let source = 0;
    let sourceDone = 0;
    for (let target = 0; target < to.count; target++) {
      for (let done = 0; done < to.length(target);) {
        const piece = Math.min(to.length(target) - done, from.length(source) - sourceDone);
        if (!copyMemory(to.base(target) + done, from.base(source) + sourceDone, piece)) return false;
        done += piece;
        sourceDone += piece;
        if (sourceDone < from.length(source)) continue;
        source++;
        sourceDone = 0;
      }
    }
    // The packet uses one buffer, and its header says nothing else.
    for (let at = 0; at < net.HEADER_SIZE; at++) this.#received.writeByte(at, at === net.HEADER_BUFFERS ? 1 : 0);
    return true;
  }

  close(): void {
    this.#from.free();
    this.#to.free();
  }
}
