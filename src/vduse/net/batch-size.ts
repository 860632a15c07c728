/** Number of packets to be read one at a time after a packet that used several buffers. */
const SINGLY = 64;

/**
 * The number of packets to read from a tap in one call: as many as it probably has, because an attempt without a packet
 * costs half as much as one with a packet.
 */
export class BatchSize {
  /** Packets since the tap was last empty, and before, and before that. */
  #found = 0;
  #last = 0;
  #before = 0;
  #singly = 0;

  /** At least 1. */
  get next(): number {
    // A packet that needs several buffers can only be read there without a copy if no other packet has one of them.
    if (this.#singly > 0) return 1;
    // As many again as have come by now.
    if (this.#found > 0) return this.#found;
    const expected = Math.min(this.#last, this.#before);
    // The last attempt finds that the tap is empty.
    return expected > 1 ? expected + 1 : 1;
  }

  /** A packet was read. @param buffers the number of buffers that it uses */
  add(buffers: number): void {
    this.#found++;
    if (buffers > 1) this.#singly = SINGLY;
    else if (this.#singly > 0) this.#singly--;
  }

  /** The tap is empty. */
  end(): void {
    this.#before = this.#last;
    this.#last = this.#found;
    this.#found = 0;
  }
}
