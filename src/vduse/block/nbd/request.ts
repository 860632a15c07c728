import type { IoVector } from '../../../sys/io-vector.js';
import { CMD_FLUSH, type Command } from '../../../nbd/protocol.js';
import type { Operation } from '../backend.js';

/** An operation of the device, which takes one request or several. */
export interface Task {
  readonly operation: Operation;
  /** Requests that are not done. */
  pending: number;
  error: number;
}

/** How far a request has got: its memory is in use from `sending` on. */
export type RequestState = 'queued' | 'sending' | 'sent';

/** A request to an NBD server; reused. Its slot and its sequence number are its cookie. */
export class NbdRequest {
  readonly slot: number;
  /** Counts up each time that the slot is used: an answer to an earlier use is recognized. */
  sequence = 0;
  /** Numbers requests in the order in which they were made. */
  order = 0;
  task: Task | undefined;
  command: Command = CMD_FLUSH;
  flags = 0;
  position = 0;
  length = 0;
  state: RequestState = 'queued';
  /** Bytes of a read that have a place in a reply. */
  received = 0;
  error = 0;
  /** Its task is done already, whatever the server answers. */
  isAbandoned = false;
  /** Addresses and lengths of the memory to read into or to write from, `count` pairs. */
  readonly #memory: number[] = [];
  count = 0;

  constructor(slot: number) {
    this.slot = slot;
  }

  address(index: number): number {
    return this.#memory[index * 2] ?? 0;
  }

  bytes(index: number): number {
    return this.#memory[index * 2 + 1] ?? 0;
  }

  addMemory(address: number, length: number): void {
    this.#memory[this.count * 2] = address;
    this.#memory[this.count * 2 + 1] = length;
    this.count++;
  }

  /** Before it is sent, perhaps once more. */
  restart(): void {
    this.state = 'queued';
    this.received = 0;
    this.error = 0;
    this.sequence = (this.sequence + 1) >>> 0;
  }

  /**
   * Adds the memory of a part of its data to a vector, as far as there is room.
   * @param skip bytes of its data before the part
   * @returns how many bytes of the part have found room
   */
  gather(vector: IoVector, skip: number, length: number): number {
    let before = skip;
    let left = length;
    for (let index = 0; index < this.count && left > 0 && vector.count < vector.capacity; index++) {
      const bytes = this.bytes(index);
      if (before >= bytes) {
        before -= bytes;
        continue;
      }
      const part = Math.min(bytes - before, left);
      vector.push(this.address(index) + before, part);
      before = 0;
      left -= part;
    }
    return length - left;
  }
}
