import type { DescriptorChain } from './descriptor-chain.js';
import type { GuestMemory } from './guest-memory.js';
import { DESCRIPTOR_SIZE, VRING_DESC_F_NEXT } from './split-ring.js';
import { BrokenRingError, type QueueLayout } from './virtqueue.js';

/** Addresses whose upper half is above this cannot be represented exactly by a number. */
const MAX_HIGH_WORD = 0x1f_fffe;

/** Converts descriptors to the buffers of a chain, and finds indirect tables: the same for both forms of queues. */
export class ChainBuilder {
  /** Where the table is in the view that {@link indirectTable} returned, in bytes. */
  tableAt = 0;
  readonly #memory: GuestMemory;
  readonly #layout: QueueLayout;
  #isWriting = false;

  constructor(memory: GuestMemory, layout: QueueLayout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  /** Begins a chain. */
  begin(chain: DescriptorChain, head: number): void {
    chain.reset(head);
    this.#isWriting = false;
  }

  /**
   * Adds the buffer of a descriptor to a chain.
   * @param low the lower half of its address, and `high` the upper
   * @throws BrokenRingError
   */
  add(chain: DescriptorChain, low: number, high: number, length: number, writable: boolean): void {
    if (this.#isWriting && !writable) throw new BrokenRingError('device-readable buffer after a device-writable one');
    this.#isWriting = writable;
    chain.endWritable = false;
    if (length === 0) {
      chain.fault = 'zero-length buffer';
      return;
    }
    if (high > MAX_HIGH_WORD) {
      chain.fault = 'buffer in unmapped memory';
      return;
    }
    let iova = high * 0x1_0000_0000 + low;
    for (let left = length; left > 0;) {
      const region = this.#memory.find(iova);
      if (region === undefined || !(writable ? region.writable : region.readable)) {
        chain.fault = region ? 'buffer in memory without the required permission' : 'buffer in unmapped memory';
        return;
      }
      const take = Math.min(left, region.end - iova);
      if (!chain.push(region, iova - region.start, take, writable)) {
        chain.fault = `buffers in more than ${chain.capacity} pieces of memory`;
        return;
      }
      iova += take;
      left -= take;
    }
    chain.endWritable = writable;
  }

  /**
   * The view that contains an indirect table, at byte {@link tableAt}.
   * @param flags of the descriptor that refers to it
   * @throws BrokenRingError
   */
  indirectTable(low: number, high: number, length: number, flags: number): DataView {
    if (!this.#layout.indirect) throw new BrokenRingError('indirect descriptor without RING_INDIRECT_DESC');
    if ((flags & VRING_DESC_F_NEXT) !== 0) throw new BrokenRingError('indirect descriptor with VIRTQ_DESC_F_NEXT');
    const entries = length / DESCRIPTOR_SIZE;
    if (entries === 0 || !Number.isInteger(entries) || entries > this.#layout.maxChain) {
      throw new BrokenRingError(`invalid indirect table length: ${length} bytes`);
    }
    const iova = high * 0x1_0000_0000 + low;
    const region = high <= MAX_HIGH_WORD ? this.#memory.find(iova) : undefined;
    if (!region?.readable || iova + length > region.end) return this.#copyTable(high, iova, length);
    this.tableAt = iova - region.start;
    return region.data;
  }

  /** The copy of a table that spans regions. */
  #copyTable(high: number, iova: number, length: number): DataView {
    const copy = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const region = high <= MAX_HIGH_WORD ? this.#memory.find(iova + done) : undefined;
      if (!region?.readable) throw new BrokenRingError('indirect table in unmapped memory');
      const offset = iova + done - region.start;
      const take = Math.min(length - done, region.end - (iova + done));
      copy.set(region.u8.subarray(offset, offset + take), done);
      done += take;
    }
    this.tableAt = 0;
    return new DataView(copy.buffer);
  }
}
