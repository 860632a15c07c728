import { Errno } from '../../sys/errno.js';
import { IOV_MAX, readv } from '../../sys/file.js';
import { copyMemory, fillMemory } from '../../sys/guarded-copy.js';
import { IoVector } from '../../sys/io-vector.js';
import { lastErrno } from '../../sys/libc.js';
import { NativeBuffer } from '../../sys/memory.js';
import { DescriptorChain } from '../../virtio/descriptor-chain.js';
import type { MemoryRegion } from '../../virtio/guest-memory.js';
import { HEADER_BUFFERS, HEADER_SIZE, MAX_PACKET } from '../../virtio/net.js';
import { BYTES_IN, ERRORS, REQUESTS } from '../engine/counters.js';
import type { DeviceQueue } from '../engine/queue.js';

/** A receive buffer that was taken and contains no packet yet. */
interface Taken {
  head: number;
  bytes: number;
  /** The first of its entries in the vector, and their number. */
  entry: number;
  entries: number;
  /** Where a header here has its number of buffers; undefined if the header spans several pieces of memory. */
  region: MemoryRegion | undefined;
  offset: number;
}

/**
 * Receive buffers of a queue, taken in advance: as many as the longest packet may need, so that a packet of any length
 * can be read with one vector, or one for each of several packets. Unused buffers must finally be put back.
 */
export class ReceiveWindow {
  readonly #chain: DescriptorChain;
  readonly #vector = new IoVector(IOV_MAX);
  /** Receives the end of a packet that is longer than the available buffers. */
  readonly #overflow = new NativeBuffer(MAX_PACKET);
  readonly #taken: Taken[] = [];
  /** Whether a packet may use several buffers. */
  #merge = false;
  #queue: DeviceQueue | undefined;
  #first = 0;
  #end = 0;
  #firstEntry = 0;
  /** Total size of the buffers, in bytes. */
  bytes = 0;

  /** @param queueSize maximum number of descriptors of a queue */
  constructor(queueSize: number) {
    this.#chain = new DescriptorChain(queueSize * 2);
  }

  /** Starts with a queue. @param merge VIRTIO_NET_F_MRG_RXBUF */
  open(queue: DeviceQueue, merge: boolean): void {
    this.#queue = queue;
    this.#merge = merge;
    this.#reset();
  }

  get #opened(): DeviceQueue {
    if (!this.#queue) throw new Error('a receive window without a queue');
    return this.#queue;
  }

  /**
   * Takes buffers until a packet fits, or the vector is full. If a packet may not use several, exactly one is taken.
   * @param length of the packet; that of the longest one by default
   * @returns false if there are too few and the driver will add more
   * @throws BrokenRingError
   */
  fill(length = MAX_PACKET): boolean {
    if (!this.#merge) this.#keepFirst();
    if (this.#take(1, this.#merge ? length : 0)) return true;
    // A driver may leave half of a ring without buffers. For a short ring these may be all that it ever adds.
    const buffers = this.#end - this.#first;
    return buffers > 0 && buffers >= this.#opened.ring.layout.size / 2;
  }

  /** Takes up to this many buffers. @returns how many there are @throws BrokenRingError */
  take(buffers: number): number {
    this.#take(buffers, 0);
    return Math.min(this.#end - this.#first, buffers);
  }

  /** Puts back all buffers except the first. */
  #keepFirst(): void {
    const taken = this.#taken[this.#first];
    if (!taken || this.#end <= this.#first + 1) return;
    this.#opened.ring.putBack(this.#end - this.#first - 1);
    this.#end = this.#first + 1;
    this.bytes = taken.bytes;
    this.#vector.count = taken.entry + taken.entries;
  }

  /** @returns false if the ring does not have as many buffers, or bytes */
  #take(buffers: number, bytes: number): boolean {
    const { ring } = this.#opened;
    while (this.#end - this.#first < buffers || this.bytes < bytes) {
      if (!ring.take(this.#chain)) return false;
      if (this.#add()) continue;
      if (this.#firstEntry > 0) {
        // The vector has space again where buffers were delivered.
        ring.putBack(this.#end - this.#first + 1);
        this.#reset();
        continue;
      }
      if (this.#first < this.#end) {
        ring.putBack(1);
        return true;
      }
      // A buffer without space for any packet, with none before it.
      ring.complete(this.#chain.head, 0);
      this.#opened.count(ERRORS, 1);
    }
    return true;
  }

  /** @returns false if the chain is too small for a packet, or the vector for the chain */
  #add(): boolean {
    const chain = this.#chain;
    const { head, writableBytes, fault } = chain;
    if (fault !== undefined || writableBytes < HEADER_SIZE) return false;
    const before = this.#vector.count;
    // One entry is reserved for the overflow.
    if (!chain.gather(this.#vector, true, 0, writableBytes) || this.#vector.count === IOV_MAX) {
      this.#vector.count = before;
      return false;
    }
    const taken = (this.#taken[this.#end++] ??= newTaken());
    const first = chain.readableCount;
    taken.head = head;
    taken.bytes = writableBytes;
    taken.entry = before;
    taken.entries = this.#vector.count - before;
    taken.region = chain.length(first) < HEADER_SIZE ? undefined : chain.region(first);
    taken.offset = chain.offset(first) + HEADER_BUFFERS;
    this.bytes += writableBytes;
    return true;
  }

  /**
   * Reads a packet into the buffers.
   * @returns its length with its header, more than {@link bytes} if it did not fit; 0 if it was lost because the memory
   * of a buffer has disappeared; -1 if there is none
   */
  read(fd: number): number {
    const vector = this.#vector;
    vector.push(this.#overflow.address, this.#overflow.length);
    const address = vector.at(this.#firstEntry);
    const entries = vector.count - this.#firstEntry;
    vector.count--;
    for (;;) {
      const length = readv(fd, address, entries);
      if (length >= 0) return length;
      const errno = lastErrno();
      // The packet has left the tap; the event of the packets after it has already occurred.
      if (errno === Errno.EFAULT) return 0;
      // EAGAIN: there is none. EIO and others: the interface is down or was deleted. An event follows when there is a
      // packet.
      if (errno !== Errno.EINTR) return -1;
    }
  }

  /** Adds the memory of the buffer `index`, counted from the first one, to a vector. @returns its size in bytes */
  gather(index: number, vector: IoVector): number {
    const taken = this.#taken[this.#first + index];
    if (!taken) return 0;
    for (let entry = taken.entry; entry < taken.entry + taken.entries; entry++) {
      vector.push(this.#vector.base(entry), this.#vector.length(entry));
    }
    return taken.bytes;
  }

  /**
   * Copies a packet to the buffers.
   * @param length at most {@link bytes}
   * @returns false if memory of a buffer has disappeared
   */
  write(address: number, length: number): boolean {
    let done = 0;
    for (let entry = this.#firstEntry; done < length; entry++) {
      const piece = Math.min(this.#vector.length(entry), length - done);
      if (!copyMemory(this.#vector.base(entry), address + done, piece)) return false;
      done += piece;
    }
    return true;
  }

  /**
   * Passes a packet in the buffers to the driver. One that did not fit or was lost is counted as an error.
   * @param length of the packet with its header, as {@link read} returns it
   * @returns the number of buffers that it uses
   */
  deliver(length: number): number {
    if (length < HEADER_SIZE || length > this.bytes) {
      this.#opened.count(ERRORS, 1);
      return 0;
    }
    const { ring } = this.#opened;
    const packet = this.#taken[this.#first];
    const packetEntry = this.#firstEntry;
    let buffers = 0;
    for (let left = length; left > 0; buffers++) {
      const taken = this.#taken[this.#first];
      if (!taken) break;
      const used = Math.min(left, taken.bytes);
      left -= used;
      ring.complete(taken.head, used);
      this.#first++;
      this.#firstEntry += taken.entries;
      this.bytes -= taken.bytes;
    }
    if (packet) this.#writeCount(packet, packetEntry, buffers);
    this.#opened.count(REQUESTS, 1);
    this.#opened.count(BYTES_IN, length - HEADER_SIZE);
    return buffers;
  }

  /** A tap does not write it. The view of guest memory saves a call for each packet. */
  #writeCount({ region, offset }: Taken, firstEntry: number, buffers: number): void {
    if (region) {
      region.u8[offset] = buffers & 0xff;
      region.u8[offset + 1] = buffers >>> 8;
    } else {
      this.#writeByte(firstEntry, HEADER_BUFFERS, buffers & 0xff);
      this.#writeByte(firstEntry, HEADER_BUFFERS + 1, buffers >>> 8);
    }
  }

  /** For a header that spans several pieces of memory. */
  #writeByte(firstEntry: number, offset: number, byte: number): void {
    let skip = offset;
    for (let entry = firstEntry; entry < this.#vector.count; entry++) {
      const length = this.#vector.length(entry);
      if (skip < length) {
        fillMemory(this.#vector.base(entry) + skip, byte, 1);
        return;
      }
      skip -= length;
    }
  }

  /** Puts back unused buffers. */
  putBack(): void {
    this.#opened.ring.putBack(this.#end - this.#first);
    this.#reset();
  }

  #reset(): void {
    this.#first = 0;
    this.#end = 0;
    this.#firstEntry = 0;
    this.bytes = 0;
    this.#vector.count = 0;
  }

  free(): void {
    this.#vector.free();
    this.#overflow.free();
  }
}

const newTaken = (): Taken => ({ head: 0, bytes: 0, entry: 0, entries: 0, region: undefined, offset: 0 });
