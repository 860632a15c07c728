/** Requests that every device of a type carries out, for checks of rings, memory and notifications. */
import { blockConfigOffset, netConfigOffset } from '../virtio/config-space.js';
import * as blk from '../virtio/block.js';
import * as net from '../virtio/net.js';
import type { Buffer as DriverBuffer } from '../virtio/driver/ring-driver.js';
import { DATA, type VhostDriver } from '../vhost/driver.js';
import type { Target } from '../vhost/target.js';
import { EXPERIMENTAL } from './ether-type.js';

/** The number of requests for which there is memory. */
export const WORK_SLOTS = 512;
/** The memory of a request. */
const SLOT_BYTES = 0x800;
/** The IOVA of memory that requests do not use. */
export const SPARE = DATA + WORK_SLOTS * SLOT_BYTES;

/** Requests that can be made in any number, and change nothing. */
export interface Work {
  /** Their queue. */
  readonly queue: number;
  /** Queues that the driver sets up. */
  readonly queues: number;
  /** How many descriptors a request has. */
  readonly descriptors: number;
  /** Called when the device has been started. */
  begin(driver: VhostDriver): void;
  /** Writes the request of a slot. @returns its buffers */
  prepare(driver: VhostDriver, slot: number): readonly DriverBuffer[];
  /** What is wrong with a completed request; undefined if nothing is. */
  fault(driver: VhostDriver, slot: number, written: number): string | undefined;
}

/** The work for a device; undefined if its type has none. */
export function workFor(target: Target): Work | undefined {
  switch (target.type) {
    case 'block':
      return blockWork(target);
    case 'net':
      return netWork(target);
    default:
      return undefined;
  }
}

/** What memory holds before the device writes it. */
export const UNTOUCHED = 0xee;

/** The IOVAs of the parts of a slot. */
const headerOf = (slot: number): number => DATA + slot * SLOT_BYTES;
const dataOf = (slot: number): number => headerOf(slot) + 0x200;

/** Reads of one sector each. */
function blockWork({ config }: Target): Work {
  const capacity = new DataView(config.buffer, config.byteOffset).getBigUint64(blockConfigOffset.capacity, true);
  return {
    queue: 0,
    queues: 1,
    descriptors: 3,
    begin: () => undefined,
    prepare: (driver, slot) => {
      const { view, memory } = driver;
      const header = driver.at(headerOf(slot));
      const data = driver.at(dataOf(slot));
      view.setUint32(header, blk.VIRTIO_BLK_T_IN, true);
      view.setUint32(header + 4, 0, true);
      view.setBigUint64(header + 8, capacity === 0n ? 0n : BigInt(slot) % capacity, true);
      memory.u8.fill(UNTOUCHED, data, data + blk.SECTOR_SIZE + 1);
      return [
        { iova: headerOf(slot), length: blk.HEADER_SIZE },
        { iova: dataOf(slot), length: blk.SECTOR_SIZE, writable: true },
        { iova: dataOf(slot) + blk.SECTOR_SIZE, length: 1, writable: true },
      ];
    },
    fault: (driver, slot, written) => {
      const status = driver.memory.u8[driver.at(dataOf(slot)) + blk.SECTOR_SIZE];
      if (status !== blk.VIRTIO_BLK_S_OK) return `status ${status} of a read of one sector`;
      return written > blk.SECTOR_SIZE + 1 ? `used length ${written} for ${blk.SECTOR_SIZE + 1} bytes` : undefined;
    },
  };
}

const FRAME_BYTES = 64;

/** Frames to a station that is not there: nothing comes back. */
function netWork({ config }: Target): Work {
  const mac = config.slice(netConfigOffset.mac, netConfigOffset.mac + net.ETH_ALEN);
  const nobody = Uint8Array.from(mac, (octet, index) => (index === 0 ? (octet & 0xfc) ^ 0x46 : octet ^ 0x55));
  return {
    queue: 1,
    queues: 2,
    descriptors: 2,
    begin: (driver) => {
      giveReceiveBuffers(driver, driver.ring(0).size >> 1);
    },
    prepare: (driver, slot) => {
      const header = driver.at(headerOf(slot));
      const frame = driver.at(dataOf(slot));
      driver.memory.u8.fill(0, header, header + net.HEADER_SIZE);
      driver.memory.u8.fill(slot & 0xff, frame, frame + FRAME_BYTES);
      driver.memory.u8.set([...nobody, ...mac, EXPERIMENTAL >> 8, EXPERIMENTAL & 0xff], frame);
      return [
        { iova: headerOf(slot), length: net.HEADER_SIZE },
        { iova: dataOf(slot), length: FRAME_BYTES },
      ];
    },
    fault: (_driver, _slot, written) =>
      written > 0 ? `used length ${written} of a packet to send, which the device cannot write` : undefined,
  };
}

/** The memory of receive buffers. */
const RECEIVE = SPARE + 0x40000;
/** Enough for a frame of the usual MTU with its header. */
export const RECEIVE_BYTES = 0x800;

/** The IOVA of a receive buffer. */
export function receiveBuffer(index: number): number {
  return RECEIVE + (index % 64) * RECEIVE_BYTES;
}

/** Makes receive buffers available: up to 64 have memory of their own. */
export function giveReceiveBuffers(driver: VhostDriver, count: number): void {
  const ring = driver.ring(0);
  for (let index = 0; index < Math.min(count, 64); index++) {
    ring.offer(ring.chain([{ iova: receiveBuffer(index), length: RECEIVE_BYTES, writable: true }]));
  }
  driver.kick(0);
}
