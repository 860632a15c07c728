import '../lab/inside.js';
import { HEADER_SIZE, isReceiveQueue } from '../../../../src/virtio/net.js';
import type { Random } from '../../random.js';
import type { Buffer } from '../../../../src/virtio/driver/ring-driver.js';
import type { FuzzRequests } from './fuzz-driver.js';
import { DATA } from '../../../../src/vhost/driver.js';
import type { VhostNet } from './vhost-net.js';

const PACKETS = DATA + 0x10000;
const PACKETS_BYTES = 0x100000;

/** Requests of a network device: packets to send, and receive buffers; or something like these. */
export class FuzzNet implements FuzzRequests {
  readonly #driver: VhostNet;
  readonly #random: Random;

  constructor(driver: VhostNet, random: Random) {
    this.#driver = driver;
    this.#random = random;
  }

  buffers(queue: number, somewhere: () => number | bigint): readonly Buffer[] {
    const random = this.#random;
    const writable = isReceiveQueue(queue);
    const start = PACKETS + random.below(PACKETS_BYTES);
    if (!writable) this.#packet(start);
    const count = 1 + random.below(random.chance(95) ? 4 : 20);
    let at = start;
    return Array.from({ length: count }, () => {
      const length = random.chance(97) ? this.#length() : random.below(2 ** 32);
      const iova = random.chance(95) ? at : somewhere();
      at += length;
      return { iova, length, writable };
    });
  }

  /** Short pieces, so that headers span some, and long ones. */
  #length(): number {
    const random = this.#random;
    if (random.chance(20)) return 1 + random.below(HEADER_SIZE + 14);
    return random.chance(70) ? 64 + random.below(2048) : random.below(0x12000);
  }

  /** The virtio header, usually without offloads, and the destination of the packet. */
  #packet(iova: number): void {
    const random = this.#random;
    const at = this.#driver.at(iova);
    const header = random.chance(80) ? new Uint8Array(HEADER_SIZE) : random.bytes(HEADER_SIZE);
    this.#driver.memory.u8.set(header, at);
    const target = random.chance(80) ? this.#driver.mac : random.bytes(6);
    this.#driver.memory.u8.set(random.chance(50) ? target : new Uint8Array(6).fill(0xff), at + HEADER_SIZE);
  }

  stir(): void {
    for (let count = this.#random.below(32); count > 0; count--) {
      this.#driver.arrive(this.#random.bytes(60 + this.#random.below(1440)));
    }
  }
}
