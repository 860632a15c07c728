/** Packets that are kept in flight: sent, and on a network that loops them back also received. */
import type { UsedSlot } from '../virtio/driver/ring-driver.js';
import { ETH_ALEN, ETH_HLEN, HEADER_SIZE } from '../virtio/net.js';
import { DriverError } from '../vhost/error.js';
import { QuietQueue, type Lane, type LaneDriver } from './lane.js';
import type { NetLoad } from './load.js';
import type { Meter } from './meter.js';

const RECEIVE = 0;
const SEND = 1;
/** Room for a header and the longest frame. */
const BUFFER_BYTES = 2048;
/** An EtherType for experiments, IEEE 802, in the order of the network. */
const ETHER_TYPE = 0x88b5;
/** Behind the Ethernet header: the number of the slot, and that of the packet. */
const SLOT_AT = HEADER_SIZE + ETH_HLEN;
const NUMBER_AT = SLOT_AT + 4;
const IDENTITY_END = NUMBER_AT + 4;
/** When a packet that has not come back is lost, in milliseconds. */
const LOST_MS = 1000;

/** The memory of a lane, in bytes. */
export function netLaneBytes(load: NetLoad): number {
  return (receiveBuffers(load) + load.depth) * BUFFER_BYTES;
}

/** Twice as many as packets in flight: others may come too. */
function receiveBuffers({ depth, queueSize }: NetLoad): number {
  return Math.min(queueSize, 2 * depth);
}

export class NetLane implements Lane {
  readonly queues: readonly number[] = [RECEIVE, SEND];
  inFlight = 0;
  /** Whether packets come back; otherwise they count when they are sent. */
  readonly #loops: boolean;
  readonly #send: QuietQueue;
  readonly #receive: QuietQueue;
  readonly #view: DataView;
  readonly #load: NetLoad;
  /** The offsets of the buffers in the memory. */
  readonly #receiveAt: number;
  readonly #sendAt: number;
  /** When each slot was offered; NaN while no packet of it is awaited. */
  readonly #offered: Float64Array;
  readonly #number: Uint32Array;
  /** Whether the device has a slot's buffer. */
  readonly #sending: Uint8Array;
  /** The slots that can be used again. */
  readonly #free: Uint16Array;
  readonly #received: Uint16Array;
  readonly #used: UsedSlot = { head: 0, written: 0 };
  #freeCount = 0;

  /** @param iova of {@link netLaneBytes} bytes of memory */
  constructor(driver: LaneDriver, load: NetLoad, iova: number, loops: boolean) {
    this.#loops = loops;
    this.#receive = new QuietQueue(driver, RECEIVE);
    this.#send = new QuietQueue(driver, SEND);
    this.#view = driver.view;
    this.#load = load;
    const buffers = receiveBuffers(load);
    this.#receiveAt = driver.at(iova);
    this.#sendAt = this.#receiveAt + buffers * BUFFER_BYTES;
    this.#offered = new Float64Array(load.depth).fill(Number.NaN);
    this.#number = new Uint32Array(load.depth);
    this.#sending = new Uint8Array(load.depth);
    this.#free = new Uint16Array(load.depth);
    this.#received = new Uint16Array(buffers);
    for (let buffer = 0; buffer < buffers; buffer++) {
      const at = iova + buffer * BUFFER_BYTES;
      this.#receive.ring.chainAt(buffer, [{ iova: at, length: BUFFER_BYTES, writable: true }]);
      this.#receive.ring.offer(buffer);
    }
    this.#receive.notify();
    for (let slot = 0; slot < load.depth; slot++) this.#writePacket(slot, iova + (buffers + slot) * BUFFER_BYTES);
  }

  #writePacket(slot: number, iova: number): void {
    const { mac, blockSize } = this.#load;
    const at = this.#sendAt + slot * BUFFER_BYTES;
    const frame = at + HEADER_SIZE;
    for (let offset = 0; offset < HEADER_SIZE + blockSize; offset++) this.#view.setUint8(at + offset, 0);
    for (const [index, octet] of mac.entries()) {
      this.#view.setUint8(frame + index, octet);
      this.#view.setUint8(frame + ETH_ALEN + index, octet);
    }
    this.#view.setUint16(frame + 2 * ETH_ALEN, ETHER_TYPE);
    this.#view.setUint32(at + SLOT_AT, slot);
    this.#send.ring.chainAt(slot, [{ iova, length: HEADER_SIZE + blockSize }]);
  }

  fill(meter: Meter): void {
    const now = meter.read();
    for (let slot = 0; slot < this.#load.depth; slot++) if (this.#isFree(slot)) this.#offer(slot, now);
    this.#send.notify();
  }

  #isFree(slot: number): boolean {
    return this.#sending[slot] === 0 && Number.isNaN(this.#offered[slot]);
  }

  turn(meter: Meter, again: boolean): number {
    const before = this.inFlight;
    const collected = this.#collectSent(meter) + this.#collectReceived(meter);
    if (collected === 0) return 0;
    const count = before - this.inFlight;
    if (again) this.#offerFree(meter.time);
    this.#freeCount = 0;
    return count;
  }

  #collectSent(meter: Meter): number {
    const used = this.#used;
    let count = 0;
    let now = 0;
    for (; this.#send.ring.collectInto(used); count++) {
      const { head } = used;
      if (this.#sending[head] !== 1) throw notInFlight(head);
      this.#sending[head] = 0;
      if (count === 0) now = meter.read();
      if (!this.#loops) this.#countSlot(head, now, meter);
      else if (Number.isNaN(this.#offered[head])) this.#release(head);
    }
    return count;
  }

  /** Gives receive buffers back, also those of packets that do not count: without any, a device may stop sending. */
  #collectReceived(meter: Meter): number {
    const used = this.#used;
    const { ring } = this.#receive;
    const buffers = this.#received;
    let count = 0;
    while (count < buffers.length && ring.collectInto(used)) {
      if (used.head >= buffers.length) throw notInFlight(used.head);
      buffers[count++] = used.head;
      if (!this.#loops) continue;
      if (count === 1) meter.read();
      this.#receivePacket(this.#receiveAt + used.head * BUFFER_BYTES, used.written, meter);
    }
    if (count === 0) return 0;
    for (let index = 0; index < count; index++) ring.offer(buffers[index] ?? 0);
    this.#receive.notify();
    return count;
  }

  /** Counts a packet if it is one that is awaited. */
  #receivePacket(at: number, written: number, meter: Meter): void {
    const view = this.#view;
    if (written < IDENTITY_END || view.getUint16(at + HEADER_SIZE + 2 * ETH_ALEN) !== ETHER_TYPE) return;
    const slot = view.getUint32(at + SLOT_AT);
    const offered = this.#offered[slot];
    if (offered === undefined || Number.isNaN(offered) || this.#number[slot] !== view.getUint32(at + NUMBER_AT)) return;
    this.#countSlot(slot, meter.time, meter);
  }

  #countSlot(slot: number, now: number, meter: Meter): void {
    meter.count(0, now - (this.#offered[slot] ?? now));
    this.#offered[slot] = Number.NaN;
    if (this.#sending[slot] === 0) this.#release(slot);
  }

  #release(slot: number): void {
    this.inFlight--;
    this.#free[this.#freeCount++] = slot;
  }

  #offerFree(now: number): void {
    for (let index = 0; index < this.#freeCount; index++) this.#offer(this.#free[index] ?? 0, now);
    if (this.#freeCount > 0) this.#send.notify();
  }

  #offer(slot: number, now: number): void {
    const number = ((this.#number[slot] ?? 0) + 1) >>> 0;
    this.#number[slot] = number;
    this.#view.setUint32(this.#sendAt + slot * BUFFER_BYTES + NUMBER_AT, number);
    this.#offered[slot] = now;
    this.#sending[slot] = 1;
    this.inFlight++;
    this.#send.ring.offer(slot);
  }

  /** Gives up packets that were sent and have not come back. */
  expire(meter: Meter, again: boolean): void {
    const now = meter.read();
    for (let slot = 0; slot < this.#load.depth; slot++) {
      if (this.#sending[slot] === 1 || !(now - (this.#offered[slot] ?? now) > LOST_MS)) continue;
      this.#offered[slot] = Number.NaN;
      meter.lost++;
      this.#release(slot);
    }
    if (again) this.#offerFree(now);
    this.#freeCount = 0;
  }

  arm(): void {
    this.#send.arm();
    this.#receive.arm();
  }

  disarm(): void {
    this.#send.disarm();
    this.#receive.disarm();
  }
}

function notInFlight(head: number): DriverError {
  return new DriverError(`the device has completed descriptor ${head}, which is not in flight`);
}
