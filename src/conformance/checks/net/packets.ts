import { netConfigOffset } from '../../../virtio/config-space.js';
import * as net from '../../../virtio/net.js';
import { NotApplicable } from '../../finding.js';
import { QUIET_MS, REPLY_MS, type CheckContext } from '../../context.js';
import { giveReceiveBuffers, RECEIVE_BYTES, receiveBuffer, SPARE, UNTOUCHED } from '../../work.js';

const RECEIVE = 0;
const SEND = 1;
/** The number of receive buffers. */
const BUFFERS = 16;
const BROADCAST = new Uint8Array(net.ETH_ALEN).fill(0xff);
/** An EtherType for experiments, IEEE 802. */
const EXPERIMENTAL = [0x88, 0xb5];

/** A packet that came. */
export interface Received {
  /** The used length. */
  readonly written: number;
  readonly header: Uint8Array;
  readonly frame: Uint8Array;
}

/** Packets of a started network device. */
export class Packets {
  readonly mac: Uint8Array;
  readonly #context: CheckContext;
  /** The place of each receive buffer in flight, by head. */
  readonly #buffers = new Map<number, number>();

  constructor(context: CheckContext) {
    this.#context = context;
    this.mac = context.vhost.config(netConfigOffset.mac, net.ETH_ALEN);
    const { driver } = context;
    const before = driver.ring(RECEIVE).availableIndex;
    for (let index = 0; index < BUFFERS; index++) {
      const at = driver.at(receiveBuffer(index));
      driver.memory.u8.fill(UNTOUCHED, at, at + RECEIVE_BYTES);
      this.#buffers.set((before + index) % driver.ring(RECEIVE).size, index);
    }
    giveReceiveBuffers(driver, BUFFERS);
  }

  /** A frame to a station: its header, then bytes that tell their place. */
  frame(destination: Uint8Array, length: number, seed = 0): Uint8Array {
    const frame = Uint8Array.from({ length }, (_, index) => (index * 3 + seed) & 0xff);
    frame.set([...destination, ...this.mac, ...EXPERIMENTAL]);
    return frame;
  }

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

  /** The next packet that came; undefined if there is none in time. */
  receive(timeoutMs: number = REPLY_MS): Received | undefined {
    const { driver } = this.#context;
    const used = driver.used(RECEIVE, timeoutMs);
    if (!used) return undefined;
    const at = driver.at(receiveBuffer(this.#buffers.get(used.head) ?? 0));
    const bytes = driver.memory.u8.slice(at, at + Math.min(used.written, RECEIVE_BYTES));
    return {
      written: used.written,
      header: bytes.subarray(0, net.HEADER_SIZE),
      frame: bytes.subarray(net.HEADER_SIZE),
    };
  }

  /** Sends a frame and returns what comes back. @throws NotApplicable if the device does not loop packets back */
  echo(frame: Uint8Array, header?: Uint8Array): Received {
    this.send(frame, header);
    const received = this.receive();
    if (received) return received;
    throw new NotApplicable('no packet came back: the device does not loop packets back');
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
