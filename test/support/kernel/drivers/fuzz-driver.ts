/** A hostile driver of a device, driven by random numbers: rings, buffers, memory and timing. */
import '../lab/inside.js';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../../../src/virtio/split-ring.js';
import type { Random } from '../../random.js';
import { PackedDriver, type PackedDescriptor } from '../../../../src/virtio/driver/packed-driver.js';
import type { Buffer } from '../../../../src/virtio/driver/ring-driver.js';
import { SplitDriver } from '../../../../src/virtio/driver/split-driver.js';
import { BASE, DRIVER_OK, MEMORY_BYTES, type VhostDriver } from '../../../../src/vhost/driver.js';
import { DriverMemory } from '../../../../src/vhost/memory.js';
import { VHOST_ACCESS_RO, VHOST_ACCESS_RW, VHOST_ACCESS_WO } from '../../../../src/vhost/uapi.js';

const PAGE = 4096;
/** Where other memory of the driver is mapped and unmapped. */
const SHIFTING = 0x7000_0000;
const SHIFTING_BYTES = 2 ** 30;
const EVENT_IDX = 1n << 29n;
const INDIRECT = 1n << 28n;
const RING_PACKED = 1n << 34n;

/** Counters of a run. */
export interface FuzzCounts {
  /** A life is the time from one reset to the next. */
  lives: number;
  chains: number;
  /** Completed chains. */
  used: number;
  maps: number;
}

/** The requests for a type of device. */
export interface FuzzRequests {
  /**
   * Returns the buffers of a request, most of them plausible, with their content already written.
   * @param somewhere gives an address anywhere
   */
  buffers(queue: number, somewhere: () => number | bigint): readonly Buffer[];

  /** Makes something happen on the other side of the device. */
  stir?(): void;
}

export class FuzzDriver {
  readonly counts: FuzzCounts = { lives: 0, chains: 0, used: 0, maps: 0 };
  readonly #driver: VhostDriver;
  readonly #requests: FuzzRequests;
  readonly #random: Random;
  readonly #queues: number;
  readonly #queueSize: number;
  #memories: DriverMemory[] = [];
  /** In this life no ring is broken on purpose, so that more requests are carried out. */
  #careful = false;
  #indirect = true;

  constructor(
    driver: VhostDriver,
    requests: FuzzRequests,
    random: Random,
    device: { readonly queues: number; readonly queueSize: number },
  ) {
    this.#driver = driver;
    this.#requests = requests;
    this.#random = random;
    this.#queues = device.queues;
    this.#queueSize = device.queueSize;
  }

  /** One life of the device: it is started, attacked, and left as is. */
  round(): void {
    this.counts.lives++;
    const random = this.#random;
    const queueSize = random.chance(70) ? this.#queueSize : 2 ** (1 + random.below(Math.log2(this.#queueSize)));
    const ofItsKind = random.chance(20) ? BigInt(random.below(2 ** 24)) : 0n;
    const dropped =
      (random.chance(50) ? EVENT_IDX : 0n) |
      (random.chance(20) ? INDIRECT : 0n) |
      (random.chance(20) ? RING_PACKED : 0n) |
      ofItsKind;
    this.#careful = random.chance(50);
    this.#indirect = (dropped & INDIRECT) === 0n;
    this.#driver.prepare({ queueSize, features: (offered) => offered & ~dropped });
    if (random.chance(10)) this.#misplaceRings();
    if (random.chance(10)) {
      for (let queue = 0; queue < this.#queues; queue++) {
        const ring = this.#driver.ring(queue);
        const base = random.below(ring instanceof SplitDriver ? 65536 : 2 ** 32);
        this.#driver.vhost.setQueueBase(queue, base);
        if (ring instanceof SplitDriver) ring.setAvailableIndex(base);
      }
    }
    this.#driver.vhost.status = DRIVER_OK;
    for (let steps = 1 + random.below(12); steps > 0; steps--) this.#step(random.below(this.#queues));
  }

  /** Frees what is left of the shifting memory. */
  end(): void {
    this.#driver.vhost.unmap(SHIFTING, SHIFTING_BYTES);
    for (const memory of this.#memories) memory.free();
    this.#memories = [];
  }

  #step(queue: number): void {
    const random = this.#random;
    const chance = random.below(100);
    if (chance < 62) this.#offer(queue);
    else if (chance < 67 && this.#careful) this.#offer(queue);
    else if (chance < 65) this.#scribble(queue);
    else if (chance < 67) this.#misplaceNext(queue);
    else if (chance < 72) this.#shiftMemory();
    else if (chance < 77) this.#driver.kick(queue);
    else if (chance < 80) this.#driver.vhost.enable(queue, random.chance(50));
    else if (chance < 83) this.#driver.vhost.queueBase(queue);
    else if (chance < 85) this.#driver.vhost.suspend();
    else if (chance < 88 && !this.#careful) this.#cutMemory();
    else if (chance < 93) this.#requests.stir?.();
    else this.#wait(queue);
  }

  /** Whether to make no mistake. A mistake breaks the ring for the rest of its life, so not every chain may have one. */
  #likely(perMille: number): boolean {
    return this.#careful || this.#random.below(1000) < perMille;
  }

  /** The next chain is somewhere else than the device expects it. */
  #misplaceNext(queue: number): void {
    const random = this.#random;
    const ring = this.#driver.ring(queue);
    if (ring instanceof SplitDriver) ring.setAvailableIndex(random.below(65536));
    else this.#driver.packedRing(queue).nextAvailable = random.below(ring.size) | (random.chance(50) ? 0x8000 : 0);
  }

  /** Offers chains, most of them plausible. */
  #offer(queue: number): void {
    const random = this.#random;
    const ring = this.#driver.ring(queue);
    if (ring instanceof PackedDriver) this.#offerPacked(queue, ring);
    else this.#offerSplit(queue, this.#driver.splitRing(queue));
    if (random.chance(90)) this.#driver.kick(queue);
    if (random.chance(50)) this.#wait(queue);
  }

  #offerPacked(queue: number, ring: PackedDriver): void {
    const random = this.#random;
    ring.isHostile = true;
    const likely = (): boolean => this.#likely(996);
    const flagsOf = (flags: number): number => (likely() ? flags : random.below(65536));
    let free = random.below(ring.size);
    for (let count = 1 + random.below(8); count > 0; count--) {
      this.counts.chains++;
      const indirect = random.chance(30) && (this.#indirect || !this.#careful);
      const id = likely() ? free++ % ring.size : random.below(65536);
      const buffers = this.#requests.buffers(queue, () => this.#anyAddress());
      const descriptors = buffers.map(({ iova, length, writable }, place): PackedDescriptor => {
        const next = !indirect && place < buffers.length - 1 ? VRING_DESC_F_NEXT : 0;
        return { iova, length, id, flags: flagsOf((writable === likely() ? VRING_DESC_F_WRITE : 0) | next) };
      });
      if (!indirect) {
        ring.write(descriptors, random.chance(90));
        continue;
      }
      const table = this.#driver.indirectTable(queue) + 16 * random.below(64);
      for (const [index, descriptor] of descriptors.entries()) ring.tableEntry(index, descriptor, table);
      const length = likely() ? descriptors.length * 16 : random.below(2 ** 32);
      const iova = likely() ? table : this.#anyAddress();
      ring.write([{ iova, length, id, flags: flagsOf(VRING_DESC_F_INDIRECT) }]);
    }
  }

  #offerSplit(queue: number, ring: SplitDriver): void {
    const random = this.#random;
    // Chains must not overlap more often than by chance.
    let free = random.below(ring.size);
    for (let count = 1 + random.below(8); count > 0; count--) {
      this.counts.chains++;
      const indirect = random.chance(30) && (this.#indirect || !this.#careful);
      const table = indirect ? this.#driver.indirectTable(queue) + 16 * random.below(64) : ring.descriptorArea;
      const least = this.#careful ? 24 : 4;
      const entries = indirect ? least + random.below(this.#likely(970) ? 64 - least : 80) : ring.size;
      const head = free % ring.size;
      free += indirect ? 1 : 8;
      this.#chain(queue, table, indirect ? 0 : head, entries);
      if (indirect) {
        const length = this.#likely(990) ? entries * 16 : random.below(2 ** 32);
        ring.descriptor(head, this.#likely(990) ? table : this.#anyAddress(), length, VRING_DESC_F_INDIRECT);
      }
      ring.offer(this.#likely(995) ? head : random.below(65536));
    }
  }

  /** Writes a chain that starts at descriptor `first` of a table, or something like a chain. */
  #chain(queue: number, table: number, first: number, entries: number): void {
    const random = this.#random;
    const ring = this.#driver.splitRing(queue);
    const likely = (): boolean => this.#likely(996);
    const buffers = this.#requests.buffers(queue, () => this.#anyAddress());
    let index = first;
    buffers.forEach(({ iova, length, writable }, position) => {
      const next = likely() ? (index + 1) % entries : random.below(random.chance(50) ? 65536 : entries);
      const last = position === buffers.length - 1;
      const flags = (writable === likely() ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      ring.descriptor(index, iova, length, likely() ? flags : random.below(65536), next, table);
      index = Math.min(next, 2047);
    });
  }

  #anyAddress(): number | bigint {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return BASE + random.below(MEMORY_BYTES + PAGE);
      case 1:
        return BASE + MEMORY_BYTES - random.below(1024);
      case 2:
        return SHIFTING + random.below(64) * PAGE + random.below(PAGE);
      case 3:
        return SHIFTING + random.below(SHIFTING_BYTES);
      default:
        return (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
    }
  }

  /** Writes random bytes over the rings while the device reads them. */
  #scribble(queue: number): void {
    const random = this.#random;
    const start = this.#driver.at(this.#driver.ring(queue).descriptorArea);
    for (let count = 1 + random.below(64); count > 0; count--) {
      this.#driver.memory.u8[start + random.below(0x8000 + 2048)] = random.below(256);
    }
  }

  /** Maps memory of all sorts, and unmaps it. */
  #shiftMemory(): void {
    const random = this.#random;
    this.counts.maps++;
    if (this.#memories.length > 8 || random.chance(30)) {
      this.end();
      return;
    }
    const pages = 1 + random.below(64);
    const memory = new DriverMemory(pages * PAGE, { mapped: random.chance(20) ? pages * 2 * PAGE : pages * PAGE });
    this.#memories.push(memory);
    const access = random.pick([VHOST_ACCESS_RW, VHOST_ACCESS_RO, VHOST_ACCESS_WO]);
    const iova = SHIFTING + random.below(64) * PAGE + (random.chance(10) ? random.below(PAGE) : 0);
    try {
      this.#driver.vhost.map(iova, 1 + random.below(memory.length), memory.address, access);
    } catch {
      // The kernel rejects a range that overlaps another.
    }
  }

  #cutMemory(): void {
    const memory = this.#memories[this.#random.below(this.#memories.length || 1)];
    memory?.truncate(this.#random.chance(50) ? 0 : PAGE);
  }

  #misplaceRings(): void {
    const random = this.#random;
    const queue = random.below(this.#queues);
    const place = (): number | bigint => {
      const address = this.#anyAddress();
      // The kernel rejects other alignments.
      return typeof address === 'number' ? address & ~3 : BigInt.asUintN(62, address) & ~3n;
    };
    this.#driver.vhost.setQueueAddress(queue, place(), place(), place());
  }

  #wait(queue: number): void {
    this.#driver.clearCall(queue, this.#random.below(3));
    const ring = this.#driver.ring(queue);
    if (ring instanceof PackedDriver) {
      while (ring.collect()) this.counts.used++;
      return;
    }
    const { usedIndex, seenUsed } = this.#driver.splitRing(queue);
    this.counts.used += (usedIndex - seenUsed) & 0xffff;
    this.#driver.splitRing(queue).seenUsed = usedIndex;
  }
}
