import { netConfigOffset } from '../../../virtio/config-space.js';
import * as net from '../../../virtio/net.js';
import { CheckFailure, NotApplicable } from '../../finding.js';
import { QUIET_MS, REPLY_MS, type CheckContext } from '../../context.js';
import { EXPERIMENTAL } from '../../ether-type.js';
import type { UsedChain } from '../../../virtio/driver/ring-driver.js';
import { RECEIVE_BYTES, receiveBuffer, SPARE, UNTOUCHED } from '../../work.js';

const RECEIVE = 0;
const SEND = 1;
/** The number of receive buffers. */
const BUFFERS = 16;
/** How long the device is waited for between two looks at the peer, in milliseconds. */
const LOOK_MS = 2;
const BROADCAST = new Uint8Array(net.ETH_ALEN).fill(0xff);

/** A packet that came. */
export interface Received {
  /** The used length. */
  readonly written: number;
  readonly header: Uint8Array;
  readonly frame: Uint8Array;
}

/** A used receive buffer. */
interface Part {
  readonly place: number;
  /** The used length, and what is in the buffer. */
  readonly written: number;
  readonly bytes: Uint8Array;
}

/** Tells the frames of a check from those of the one before, which a peer may still have. */
let lastRun = 0;

/** Packets of a started network device. */
export class Packets {
  readonly mac: Uint8Array;
  readonly #context: CheckContext;
  /** The size of a receive buffer, and of its memory. */
  readonly #bytes: number;
  readonly #room: number;
  /** The place of each receive buffer in flight, by head. */
  readonly #buffers = new Map<number, number>();
  readonly #run = ++lastRun & 0xffff;

  /** @param bytes of each receive buffer; by default enough for any frame of the usual MTU */
  constructor(context: CheckContext, { count = BUFFERS, bytes = RECEIVE_BYTES } = {}) {
    this.#context = context;
    this.#bytes = bytes;
    this.#room = Math.max(bytes, RECEIVE_BYTES);
    context.peer?.discard();
    this.mac = context.vhost.config(netConfigOffset.mac, net.ETH_ALEN);
    const { driver } = context;
    for (let place = 0; place < Math.min(count, driver.ring(RECEIVE).size); place++) this.#give(place);
    driver.kick(RECEIVE);
  }

  #give(place: number): void {
    const { driver } = this.#context;
    const ring = driver.ring(RECEIVE);
    const iova = this.#buffer(place);
    driver.memory.u8.fill(UNTOUCHED, driver.at(iova), driver.at(iova) + this.#room);
    const head = ring.chain([{ iova, length: this.#bytes, writable: true }]);
    this.#buffers.set(head, place);
    ring.offer(head);
  }

  /** The IOVA of a receive buffer. */
  #buffer(place: number): number {
    return receiveBuffer(0) + place * this.#room;
  }

  /** A frame to a station: its header, then bytes that tell their place. */
  frame(destination: Uint8Array, length: number, seed = 0): Uint8Array {
    const frame = Uint8Array.from({ length }, (_, index) => (index * 3 + seed) & 0xff);
    frame.set([...destination, ...this.mac, ...this.#mark()]);
    return frame;
  }

  /** What only frames of this run have after their addresses. */
  #mark(): number[] {
    return [EXPERIMENTAL >> 8, EXPERIMENTAL & 0xff, this.#run >> 8, this.#run & 0xff];
  }

  readonly #isMarked = (frame: Uint8Array): boolean =>
    this.#mark().every((byte, index) => frame[2 * net.ETH_ALEN + index] === byte);

  broadcast(length: number, seed = 0): Uint8Array {
    return this.frame(BROADCAST, length, seed);
  }

  /** Sends a frame with a header, by default one of zeros. */
  send(frame: Uint8Array, header: Uint8Array = new Uint8Array(net.HEADER_SIZE)): void {
    const { driver } = this.#context;
    driver.memory.u8.set(header, driver.at(SPARE));
    driver.memory.u8.set(frame, driver.at(SPARE) + net.HEADER_SIZE);
    const length = net.HEADER_SIZE + frame.length;
    driver.offer(driver.ring(SEND).chain([{ iova: SPARE, length }]), SEND);
    driver.used(SEND, REPLY_MS);
  }

  /**
   * The next packet that came, in one buffer; undefined if there is none in time.
   * @param isOwn tells by the begin of a frame if it is wanted; by default it is if it is of this run
   */
  receive(timeoutMs: number = REPLY_MS, isOwn = this.#isMarked): Received | undefined {
    const parts = this.#nextOwn(timeoutMs, isOwn, () => 1);
    return parts && toReceived(parts);
  }

  /**
   * The next packet that came, in as many buffers as its header says; undefined if there is none in time.
   * @param isOwn as for {@link receive}
   * @throws CheckFailure if a buffer is missing, or one before the last is not full
   */
  receiveMerged(sent: string, isOwn = this.#isMarked): Received | undefined {
    const parts = this.#nextOwn(REPLY_MS, isOwn, buffersOf);
    if (!parts) return undefined;
    const count = buffersOf(parts[0]?.bytes ?? new Uint8Array());
    if (parts.length < count) {
      throw new CheckFailure({ sent, came: `${parts.length} buffers`, expected: `num_buffers: ${count}` });
    }
    const short = parts.slice(0, -1).find(({ written }) => written !== this.#bytes);
    if (short) {
      const came = `${short.written} bytes in a buffer before the last one`;
      throw new CheckFailure({ sent, came, expected: `${this.#bytes}` });
    }
    return toReceived(parts);
  }

  /** The buffers of the next packet that is not from somebody else. @param countOf how many it has, by its header */
  #nextOwn(
    timeoutMs: number,
    isOwn: (frame: Uint8Array) => boolean,
    countOf: (header: Uint8Array) => number,
  ): Part[] | undefined {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const first = this.#nextBuffer(end - performance.now());
      if (!first) return undefined;
      const parts = [first];
      while (parts.length < countOf(first.bytes)) {
        const part = this.#nextBuffer(REPLY_MS);
        if (!part) break;
        parts.push(part);
      }
      for (const { place } of parts) this.#give(place);
      this.#context.driver.kick(RECEIVE);
      if (isOwn(first.bytes.subarray(net.HEADER_SIZE))) return parts;
    }
  }

  /** What was written to the next used buffer; undefined if there is none in time. */
  #nextBuffer(timeoutMs: number): Part | undefined {
    const { driver } = this.#context;
    const used = this.#nextUsed(timeoutMs);
    if (!used) return undefined;
    const place = this.#buffers.get(used.head) ?? 0;
    const { written } = used;
    const at = driver.at(this.#buffer(place));
    return { place, written, bytes: driver.memory.u8.slice(at, at + Math.min(written, this.#room)) };
  }

  /** Lets the peer send back what arrives meanwhile. */
  #nextUsed(timeoutMs: number): UsedChain | undefined {
    const { driver, peer } = this.#context;
    if (!peer) return driver.used(RECEIVE, timeoutMs);
    const end = performance.now() + timeoutMs;
    for (;;) {
      while (peer.reflect(0));
      const used = driver.used(RECEIVE, LOOK_MS);
      if (used || performance.now() > end) return used;
    }
  }

  /** Sends a frame and returns what comes back, in one buffer. @throws NotApplicable if nothing does */
  echo(frame: Uint8Array, header?: Uint8Array): Received {
    this.send(frame, header);
    const received = this.receive();
    if (received) return received;
    throw new NotApplicable('no packet came back: this needs a loopback device, or "peer NETDEV"');
  }

  /** Whether a broadcast comes back. @throws NotApplicable if not */
  requireLoopback(): void {
    this.echo(this.broadcast(64));
  }

  /** Whether a frame comes back. */
  comesBack(frame: Uint8Array): boolean {
    this.send(frame);
    return this.receive(QUIET_MS) !== undefined;
  }
}

function toReceived(parts: readonly Part[]): Received {
  const bytes = Buffer.concat(parts.map((part) => part.bytes));
  return {
    written: parts.reduce((sum, part) => sum + part.written, 0),
    header: bytes.subarray(0, net.HEADER_SIZE),
    frame: bytes.subarray(net.HEADER_SIZE),
  };
}

/** num_buffers of a header. */
export function buffersOf(header: Uint8Array): number {
  return (header[net.HEADER_BUFFERS] ?? 0) | ((header[net.HEADER_BUFFERS + 1] ?? 0) << 8);
}
