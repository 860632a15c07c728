import { PackedChains } from '../../virtio/packed-chains.js';

/**
 * Which chains of a queue a device has begun and not completed yet. With it, requests may be completed in any order,
 * and a server may still end at any instruction: its successor serves the chains again that were in flight. The log is
 * in memory that outlives the server, see inflight-file.ts, and written in this order:
 *
 * 1. Before a chain is begun: its mark, a number that counts up.
 * 2. Before completed chains are published: their heads, the used index of the ring, and how many they are.
 * 3. The used index of the ring is published.
 * 4. The marks of these chains are cleared, then the used index of the log follows, then their number becomes 0.
 *
 * If the ring's index is not that of the log, the server has ended between 3 and 4: the chains of the last batch are
 * done. JavaScript keeps the order, since atomic operations stand between the steps. A kill does not change it.
 *
 * A packed ring has no index. Its log also has the descriptors of the chains in flight, and its used index, a place in
 * the ring, is the only one. A batch that begins there may have been published or not: the successor publishes it again
 * if the ring does not show it, see PackedQueue.finish, and goes on after it.
 */

/**
 * Words of a log, each of 32 bits; the heads of the last batch and the marks of all heads follow, and for a device with
 * packed queues what {@link PackedChains} needs.
 */
const USED_INDEX = 0;
const BATCH_BEGIN = 1;
const BATCH_COUNT = 2;
const HEADER_WORDS = 4;
/** The used index of a log that nobody has written yet. */
const UNKNOWN = 0xffff_ffff;

export class InflightLog {
  readonly #words: Uint32Array;
  readonly #size: number;
  readonly #heads: number;
  readonly #marks: number;
  #next = 1;
  /** What a packed queue remembers; undefined if the device has none. */
  readonly chains: PackedChains | undefined;

  /**
   * Words of the log of a queue.
   * @param queueSize the most descriptors that it may have
   * @param packed whether it may be packed
   */
  static words(queueSize: number, packed: boolean): number {
    return HEADER_WORDS + queueSize * 2 + (packed ? PackedChains.words(queueSize) : 0);
  }

  /** The contents of a log that knows nothing yet. */
  static blank(queueSize: number, packed: boolean): Uint32Array {
    const words = new Uint32Array(InflightLog.words(queueSize, packed));
    words[USED_INDEX] = UNKNOWN;
    return words;
  }

  /** A log that does not outlive the server. */
  static inMemory(queueSize: number, packed = false): InflightLog {
    return new InflightLog(InflightLog.blank(queueSize, packed), queueSize, packed);
  }

  /** @param words the memory of the log, see {@link InflightLog.words} */
  constructor(words: Uint32Array, queueSize: number, packed: boolean) {
    this.#words = words;
    this.#size = queueSize;
    this.#heads = HEADER_WORDS;
    this.#marks = HEADER_WORDS + queueSize;
    const end = this.#marks + queueSize;
    if (packed)
      this.chains = new PackedChains(words.subarray(end), words.subarray(this.#heads, this.#marks), queueSize);
  }

  /** A driver has set up the queue: nothing is in flight. @param usedIndex that of its ring */
  reset(usedIndex: number): void {
    this.clear();
    Atomics.store(this.#words, USED_INDEX, usedIndex);
  }

  /** The driver no longer waits for the chains in flight, and has no queue. */
  clear(): void {
    this.#words.fill(0, this.#marks, this.#marks + this.#size);
    Atomics.store(this.#words, BATCH_COUNT, 0);
    Atomics.store(this.#words, USED_INDEX, UNKNOWN);
  }

  /** A chain is about to be begun. */
  begin(head: number): void {
    this.#words[this.#marks + head] = this.#next;
    this.#next = (this.#next + 1) >>> 0 || 1;
  }

  isInFlight(head: number): boolean {
    return this.#words[this.#marks + head] !== 0;
  }

  /** Adds a completed chain to the batch that is published next. @param position in the batch */
  complete(position: number, head: number): void {
    this.#words[this.#heads + position] = head;
  }

  /** Must be called right before `count` chains are published. @param usedIndex that of the ring before */
  beforePublish(usedIndex: number, count: number): void {
    this.#words[BATCH_BEGIN] = usedIndex;
    Atomics.store(this.#words, BATCH_COUNT, count);
  }

  /** Must be called right after they were. @param usedIndex that of the ring now */
  afterPublish(usedIndex: number): void {
    this.#clearBatch();
    Atomics.store(this.#words, USED_INDEX, usedIndex);
    Atomics.store(this.#words, BATCH_COUNT, 0);
  }

  #clearBatch(): void {
    const count = Math.min(this.#words[BATCH_COUNT] ?? 0, this.#size);
    for (let position = 0; position < count; position++) {
      const head = this.#words[this.#heads + position] ?? 0;
      if (head < this.#size) this.#words[this.#marks + head] = 0;
    }
  }

  /** The used index; undefined if nothing was in use since {@link clear}. */
  get usedIndex(): number | undefined {
    const index = this.#words[USED_INDEX];
    return index === UNKNOWN ? undefined : index;
  }

  /** Number of chains that were about to be published at the used index, or were already. */
  get batch(): number {
    if (this.#words[BATCH_BEGIN] !== this.#words[USED_INDEX]) return 0;
    return Math.min(this.#words[BATCH_COUNT] ?? 0, this.#size);
  }

  /**
   * Repairs the log after its server has ended, or its memory was revoked.
   * @param usedIndex that of the ring
   * @returns the heads of the chains to serve again, in the order in which they were begun
   */
  recover(usedIndex: number): number[] {
    const logged = this.#words[USED_INDEX] ?? 0;
    if (logged !== usedIndex) {
      const begin = this.#words[BATCH_BEGIN] ?? 0;
      const end = (begin + (this.#words[BATCH_COUNT] ?? 0)) & 0xffff;
      // Otherwise it is the log of another driver: a server without a log has served this one.
      if (begin === logged && end === usedIndex) this.#clearBatch();
      else this.clear();
    }
    Atomics.store(this.#words, USED_INDEX, usedIndex);
    Atomics.store(this.#words, BATCH_COUNT, 0);
    const heads: number[] = [];
    for (let head = 0; head < this.#size; head++) if (this.isInFlight(head)) heads.push(head);
    const mark = (head: number): number => this.#words[this.#marks + head] ?? 0;
    // The numbers wrap.
    heads.sort((one, other) => (mark(one) - mark(other)) | 0);
    const last = heads.at(-1);
    if (last !== undefined) this.#next = (mark(last) + 1) >>> 0 || 1;
    return heads;
  }

  /**
   * The available index at which a device continues, if the log alone tells: it was in use, nothing is in flight, and
   * the server has not ended while it published.
   */
  get position(): number | undefined {
    return this.#words[BATCH_COUNT] === 0 && !this.hasInFlight ? this.usedIndex : undefined;
  }

  /** Whether a chain is in flight. */
  get hasInFlight(): boolean {
    for (let head = 0; head < this.#size; head++) if (this.isInFlight(head)) return true;
    return false;
  }
}
