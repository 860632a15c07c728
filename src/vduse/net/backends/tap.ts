import { IOCB_CMD_PWRITEV, TransferBatch } from '../../../sys/aio.js';
import { Errno } from '../../../sys/errno.js';
import { IOV_MAX, writev } from '../../../sys/file.js';
import { ioctlNumber } from '../../../sys/ioctl.js';
import { IoVector } from '../../../sys/io-vector.js';
import { lastErrno } from '../../../sys/libc.js';
import { NativeBuffer } from '../../../sys/memory.js';
import { IFNAMSIZ, IFREQ_LENGTH } from '../../../sys/network-interface.js';
import {
  IFF_ATTACH_QUEUE,
  IFF_DETACH_QUEUE,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
  TUNSETOFFLOAD,
  TUNSETQUEUE,
} from '../../../sys/tun.js';
import { DescriptorChain } from '../../../virtio/descriptor-chain.js';
import * as net from '../../../virtio/net.js';
import { BYTES_OUT, ERRORS, REQUESTS } from '../../engine/counters.js';
import { MORE, QUIET, STARVED, WAIT, type DataPlaneContext, type ServeResult } from '../../engine/data-plane.js';
import type { DeviceQueue } from '../../engine/queue.js';
import { hasFeature } from '../../engine/negotiation.js';
import type { NetBackend } from '../data-plane.js';
import { BatchSize } from '../batch-size.js';
import { ReceiveBatch } from '../receive-batch.js';
import { ReceiveWindow } from '../receive-window.js';

/**
 * Number of packets before the driver is notified and other queues are served: as many in each direction, so that a
 * driver that sends without a pause receives as much.
 */
const BATCH = 256;
/** Number of packets that one call reads: more save nothing, and each has private memory for its end. */
const READ_BATCH = 64;

/** The features that a driver needs for the tap to pass it such packets. */
const OFFLOADS: readonly (readonly [bigint, number])[] = [
  [net.VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM],
  [net.VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4],
  [net.VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6],
  [net.VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN],
];

/** A packet to be sent. */
interface Packet {
  head: number;
  /** Length in bytes, with the header. */
  length: number;
  /** Its entries of the vector; none if it is not a packet. */
  first: number;
  entries: number;
}

/**
 * A tap interface of this machine. Packets with their headers are transferred to and from guest memory without a copy,
 * a batch with one system call if the kernel supports it.
 */
export class TapBackend implements NetBackend {
  /** One descriptor for each pair; non-blocking. */
  readonly #fds: readonly number[];
  readonly #receiveQueues: readonly number[];
  readonly #chain: DescriptorChain;
  readonly #vector: IoVector;
  readonly #window: ReceiveWindow;
  readonly #batch = TransferBatch.open(BATCH);
  readonly #receiveBatch: ReceiveBatch | undefined;
  readonly #packets = Array.from({ length: BATCH }, (): Packet => ({ head: 0, length: 0, first: 0, entries: 0 }));
  /** A struct ifreq. */
  readonly #request = new NativeBuffer(IFREQ_LENGTH);
  #merge = false;
  /** Receive queues whose tap may have packets. */
  readonly #readable = new Set<number>();
  /** Of each receive queue. */
  readonly #sizes = new Map<number, BatchSize>();
  /** The pairs that the driver uses. The tap distributes packets over all attached queues. */
  readonly #attached = new Set<number>();

  constructor(fds: readonly number[], context: DataPlaneContext) {
    this.#fds = fds;
    this.#chain = new DescriptorChain(context.queueSize * 2);
    this.#vector = new IoVector(IOV_MAX);
    this.#window = new ReceiveWindow(context.queueSize);
    this.#receiveBatch = this.#batch && new ReceiveBatch(this.#batch, this.#window, READ_BATCH);
    this.#receiveQueues = context.queues.filter(net.isReceiveQueue);
    for (const queue of this.#receiveQueues) {
      this.#attached.add(queue);
      context.watch(this.#fd(queue), () => {
        this.#readable.add(queue);
      });
    }
  }

  #fd(queue: number): number {
    const fd = this.#fds[queue >>> 1];
    if (fd === undefined) throw new RangeError(`queue ${queue} has no TAP interface`);
    return fd;
  }

  start(features: bigint): void {
    this.#merge = hasFeature(features, net.VIRTIO_NET_F_MRG_RXBUF);
    this.#receiveBatch?.forget();
    let offloads = 0;
    for (const [bit, flag] of OFFLOADS) if (hasFeature(features, bit)) offloads |= flag;
    // A tap that rejects the offloads, for example an invalid combination, would keep those of the previous driver.
    for (const fd of this.#fds) {
      if (ioctlNumber(fd, TUNSETOFFLOAD, offloads) !== 0) ioctlNumber(fd, TUNSETOFFLOAD, 0);
    }
    for (const queue of this.#receiveQueues) if (queue > 0) this.#setQueue(queue, false);
  }

  /**
   * Attaches or detaches the tap's queue of a receive queue. That of the first pair always stays attached. A deleted
   * tap fails: it receives no more packets, whatever its queues are.
   */
  #setQueue(queue: number, attach: boolean): void {
    if (this.#attached.has(queue) === attach) return;
    const request = this.#request;
    request.u8.fill(0);
    new DataView(request.u8.buffer).setUint16(IFNAMSIZ, attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE, true);
    if (ioctlNumber(this.#fd(queue), TUNSETQUEUE, request.address) !== 0) return;
    if (attach) this.#attached.add(queue);
    else this.#attached.delete(queue);
  }

  transmit(sending: DeviceQueue): ServeResult {
    const count = this.#collect(sending);
    if (count === 0) return WAIT;
    sending.checkMemory();
    const fd = this.#fd(sending.index);
    // For a single packet, a plain call is simplest.
    const together = count > 1 && this.#batch !== undefined ? this.#sendTogether(this.#batch, fd, count) : 0;
    for (let each = 0; each < count; each++) {
      const packet = this.#packets[each];
      if (!packet) break;
      const { head, length, first, entries } = packet;
      const sent = each < together ? this.#batch?.result(each) === length : this.#send(fd, length, first, entries);
      if (sent) sending.count(BYTES_OUT, length - net.HEADER_SIZE);
      else sending.count(ERRORS, 1);
      sending.ring.complete(head, 0);
    }
    sending.count(REQUESTS, count);
    sending.flush();
    return MORE;
  }

  /** Takes packets, up to a batch. @returns their number */
  #collect({ ring }: DeviceQueue): number {
    const chain = this.#chain;
    const vector = this.#vector;
    vector.count = 0;
    let count = 0;
    for (; count < BATCH && ring.take(chain); count++) {
      const packet = this.#packets[count];
      if (!packet) break;
      packet.head = chain.head;
      packet.length = chain.readableBytes;
      packet.first = vector.count;
      const { length } = packet;
      const good = chain.fault === undefined && length >= net.HEADER_SIZE + net.ETH_HLEN && length <= net.MAX_PACKET;
      if (good && !chain.gather(vector, false, 0, length)) {
        vector.count = packet.first;
        if (count > 0) {
          // It does not fit into this batch, but may fit into one of its own.
          ring.putBack(1);
          break;
        }
      }
      packet.entries = vector.count - packet.first;
    }
    return count;
  }

  /** @returns how many of the packets were passed to the tap, whether or not it accepted them */
  #sendTogether(batch: TransferBatch, fd: number, count: number): number {
    batch.count = 0;
    for (let each = 0; each < count; each++) {
      const packet = this.#packets[each];
      if (!packet || packet.entries === 0) break;
      batch.push(IOCB_CMD_PWRITEV, fd, this.#vector.at(packet.first), packet.entries, 0);
    }
    return batch.count === 0 ? 0 : batch.run();
  }

  /** @returns false if it is not a packet, or the tap rejects it: then it is lost */
  #send(fd: number, length: number, first: number, entries: number): boolean {
    if (entries === 0) return false;
    for (;;) {
      if (writev(fd, this.#vector.at(first), entries) === length) return true;
      if (lastErrno() !== Errno.EINTR) return false;
    }
  }

  receive(receiving: DeviceQueue): ServeResult {
    const { index } = receiving;
    if (!this.#attached.has(index)) this.#setQueue(index, true);
    const holding = this.#receiveBatch?.heldFor === index ? this.#receiveBatch : undefined;
    if (!holding && !this.#readable.has(index)) return QUIET;
    const window = this.#window;
    window.open(receiving, this.#merge);
    try {
      if (holding && !holding.deliverHeld(this.#size(index))) return STARVED;
      return this.#readable.has(index) ? this.#readPackets(index) : QUIET;
    } finally {
      window.putBack();
      receiving.flush();
    }
  }

  /** Reads packets into the window, up to a batch. */
  #readPackets(queue: number): ServeResult {
    const window = this.#window;
    const fd = this.#fd(queue);
    const size = this.#size(queue);
    for (let count = 0; count < BATCH;) {
      const wanted = Math.min(size.next, READ_BATCH, BATCH - count);
      const batch = wanted > 1 && this.#receiveBatch?.heldFor === undefined ? this.#receiveBatch : undefined;
      const together = batch ? window.take(wanted) : 0;
      if (batch && together > 1 && batch.read(fd, queue, together, size)) {
        count += batch.found;
        if (batch.ended) this.#setEmpty(queue, size);
        if (batch.heldFor !== undefined) return STARVED;
        if (batch.ended) return QUIET;
        continue;
      }
      if (!window.fill()) return STARVED;
      const length = window.read(fd);
      if (length < 0) {
        this.#setEmpty(queue, size);
        return QUIET;
      }
      size.add(window.deliver(length));
      count++;
    }
    return MORE;
  }

  #setEmpty(queue: number, size: BatchSize): void {
    this.#readable.delete(queue);
    size.end();
  }

  #size(queue: number): BatchSize {
    let size = this.#sizes.get(queue);
    if (!size) this.#sizes.set(queue, (size = new BatchSize()));
    return size;
  }

  close(): void {
    this.#vector.free();
    this.#receiveBatch?.free();
    this.#window.free();
    this.#batch?.close();
    this.#request.free();
  }
}
