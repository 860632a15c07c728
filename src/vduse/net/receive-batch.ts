import { IOCB_CMD_PREADV, type TransferBatch } from '../../sys/aio.js';
import { Errno } from '../../sys/errno.js';
import { IOV_MAX } from '../../sys/file.js';
import { copyMemory } from '../../sys/guarded-copy.js';
import { IoVector } from '../../sys/io-vector.js';
import { NativeBuffer } from '../../sys/memory.js';
import { HEADER_SIZE, MAX_PACKET } from '../../virtio/net.js';
import type { BatchSize } from './batch-size.js';
import type { ReceiveWindow } from './receive-window.js';

/** Private memory for each packet of a batch. */
const COPY_BYTES = Math.ceil(MAX_PACKET / 4096) * 4096;

/** A packet in private memory that is not delivered yet. */
interface Held {
  readonly address: number;
  readonly length: number;
}

/**
 * Reads many packets from a tap with one system call, each to a receive buffer of its own. What does not fit there is
 * read to private memory.
 *
 * The kernel executes the reads in order, and none waits: the tap is non-blocking, so that nothing is in flight when
 * the call returns. After a packet that needs more buffers, or a read without one, the packets of the batch are not in
 * the right buffers. These are copied, once all of them are out of the way. A packet that finds no buffers is held
 * until the driver adds some.
 */
export class ReceiveBatch {
  readonly #transfers: TransferBatch;
  readonly #window: ReceiveWindow;
  readonly #vector: IoVector;
  readonly #copies: NativeBuffer;
  /** Of each read: the first entry of its vector, and the size of its buffer in bytes. */
  readonly #firstEntry: number[] = [];
  readonly #bufferBytes: number[] = [];
  #held: Held[] = [];
  #heldFor: number | undefined;
  /** Packets that the last {@link read} has found. */
  found = 0;
  /** Whether there were no more. */
  ended = false;

  /**
   * @param transfers of the same thread
   * @param capacity maximum number of packets of a batch; at most that of `transfers`
   */
  constructor(transfers: TransferBatch, window: ReceiveWindow, capacity: number) {
    this.#transfers = transfers;
    this.#window = window;
    this.#vector = new IoVector(IOV_MAX + capacity);
    this.#copies = new NativeBuffer(capacity * COPY_BYTES);
  }

  /** The queue for which packets are held. No batch is read until they are delivered. */
  get heldFor(): number | undefined {
    return this.#heldFor;
  }

  /**
   * Reads packets and delivers them.
   * @param queue that of the window
   * @param count number of packets; the window has as many buffers
   * @returns false if the kernel does not execute the call
   * @throws BrokenRingError
   */
  read(fd: number, queue: number, count: number, size: BatchSize): boolean {
    this.#prepare(fd, count);
    const executed = this.#transfers.run();
    this.found = 0;
    this.ended = false;
    let inPlace = true;
    for (let index = 0; index < executed; index++) {
      const result = this.#transfers.result(index);
      this.ended = isEmpty(result);
      if (this.ended || result === -Errno.EINTR) {
        inPlace = false;
        continue;
      }
      this.found++;
      inPlace &&= result >= HEADER_SIZE && result <= (this.#bufferBytes[index] ?? 0);
      if (inPlace) size.add(this.#window.deliver(result));
      else if (this.#copyOut(index, result)) this.#held.push({ address: this.#copy(index), length: result });
      else size.add(this.#window.deliver(0));
    }
    this.#heldFor = queue;
    this.deliverHeld(size);
    return executed > 0;
  }

  /**
   * Delivers held packets to the window of their queue.
   * @returns false if there are too few buffers
   * @throws BrokenRingError
   */
  deliverHeld(size: BatchSize): boolean {
    const window = this.#window;
    for (let packet = this.#held[0]; packet; packet = this.#held[0]) {
      const { address, length } = packet;
      if (!window.fill(length)) return false;
      const fits = length <= window.bytes && window.write(address, length);
      size.add(window.deliver(fits ? length : 0));
      this.#held.shift();
    }
    this.#heldFor = undefined;
    return true;
  }

  /** Forgets held packets: the driver has reset the device. */
  forget(): void {
    this.#held = [];
    this.#heldFor = undefined;
  }

  #prepare(fd: number, count: number): void {
    const transfers = this.#transfers;
    const vector = this.#vector;
    transfers.count = 0;
    vector.count = 0;
    for (let index = 0; index < count; index++) {
      const first = vector.count;
      const bytes = this.#window.gather(index, vector);
      this.#firstEntry[index] = first;
      this.#bufferBytes[index] = bytes;
      // The rest of a packet is put where it is in a copy of the whole packet.
      if (bytes < COPY_BYTES) vector.push(this.#copy(index) + bytes, COPY_BYTES - bytes);
      transfers.push(IOCB_CMD_PREADV, fd, vector.at(first), vector.count - first, 0);
    }
  }

  #copy(index: number): number {
    return this.#copies.address + index * COPY_BYTES;
  }

  /** Completes the copy of a packet by what is in its buffer. @returns false if the packet is lost */
  #copyOut(index: number, length: number): boolean {
    if (length < HEADER_SIZE || length > MAX_PACKET) return false;
    const vector = this.#vector;
    const inBuffer = Math.min(length, this.#bufferBytes[index] ?? 0);
    let entry = this.#firstEntry[index] ?? 0;
    for (let done = 0; done < inBuffer; entry++) {
      const piece = Math.min(vector.length(entry), inBuffer - done);
      if (!copyMemory(this.#copy(index) + done, vector.base(entry), piece)) return false;
      done += piece;
    }
    return true;
  }

  free(): void {
    this.#vector.free();
    this.#copies.free();
  }
}

/** Whether the tap had no packet: EAGAIN, or an error of an interface that is down or was deleted. */
function isEmpty(result: number): boolean {
  // EFAULT: the packet has left the tap, but the memory of its buffer has disappeared.
  return result < 0 && result !== -Errno.EFAULT && result !== -Errno.EINTR;
}
