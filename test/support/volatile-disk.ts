import { Errno } from '../../src/sys/errno.js';
import type { Carrier } from '../../src/vduse/block/backends/carrier.js';
import type { Random } from './random.js';

/**
 * A disk with a volatile cache, the weakest that may be called one: a flush makes durable what was written when it
 * began, and nothing else. A block is a number, which grows with each write to it.
 */
export class VolatileDisk {
  readonly blockBytes: number;
  /** What a power failure leaves. */
  readonly durable: Uint32Array;
  /** What is newer, by block. */
  readonly #cache = new Map<number, number>();
  readonly #random: Random;

  constructor(blocks: number, blockBytes: number, random: Random) {
    this.durable = new Uint32Array(blocks);
    this.blockBytes = blockBytes;
    this.#random = random;
  }

  write(block: number, content: number): void {
    this.#cache.set(block, content);
  }

  /** What a flush that begins now makes durable. */
  get written(): ReadonlyMap<number, number> {
    return new Map(this.#cache);
  }

  /** A flush is done. */
  keep(written: ReadonlyMap<number, number>): void {
    for (const [block, content] of written) {
      // A flush that began later may be done earlier.
      this.durable[block] = Math.max(content, this.durable[block] ?? 0);
      if (this.#cache.get(block) === content) this.#cache.delete(block);
    }
  }

  /** A flush has failed: what it was to make durable is lost, and no later one will say so. */
  lose(written: ReadonlyMap<number, number>): void {
    for (const [block, content] of written) if (this.#cache.get(block) === content) this.#cache.delete(block);
  }

  /** What was cached may be durable or not, each block by itself. */
  failPower(): void {
    for (const [block, content] of this.#cache) if (this.#random.chance(50)) this.durable[block] = content;
    this.#cache.clear();
  }
}

type Begun =
  | { readonly kind: 'write'; readonly tag: number; readonly block: number; readonly address: number }
  | { readonly kind: 'flush'; readonly tag: number; readonly written: ReadonlyMap<number, number> };

type Added = Extract<Begun, { kind: 'write' }> | { readonly kind: 'flush'; readonly tag: number };

/** The file of one thread on such a disk: its writes of whole blocks and its flushes are done in any order. */
export class VolatileCarrier implements Carrier {
  /** Nothing is done while a thread waits: {@link step} does it. */
  readonly waiter = {
    watch: (): void => undefined,
    wait: (): boolean => {
      this.submit();
      return this.hasCompletions;
    },
  };
  readonly #disk: VolatileDisk;
  readonly #random: Random;
  readonly #contentAt: (address: number) => number;
  #added: Added[] = [];
  readonly #inFlight: Begun[] = [];
  readonly #done: { readonly tag: number; readonly result: number }[] = [];
  /** A flush of any file has failed, which this one has not reported. */
  hasUnreportedLoss = false;

  /** @param contentAt reads the number of a block from memory */
  constructor(disk: VolatileDisk, random: Random, contentAt: (address: number) => number) {
    this.#disk = disk;
    this.#random = random;
    this.#contentAt = contentAt;
  }

  get hasCompletions(): boolean {
    return this.#done.length > 0;
  }

  transfer(writing: boolean, position: number, address: number, length: number, tag: number): void {
    const { blockBytes } = this.#disk;
    if (!writing || length !== blockBytes || position % blockBytes !== 0) throw new RangeError('not a block to write');
    this.#added.push({ kind: 'write', tag, block: position / blockBytes, address });
  }

  transferVector(): void {
    throw new RangeError('a block has one piece of memory');
  }

  flush(tag: number): void {
    this.#added.push({ kind: 'flush', tag });
  }

  allocate(): void {
    throw new RangeError('nothing is allocated');
  }

  discard(): void {
    throw new RangeError('nothing is discarded');
  }

  submit(): void {
    for (const operation of this.#added) {
      this.#inFlight.push(operation.kind === 'flush' ? { ...operation, written: this.#disk.written } : operation);
    }
    this.#added = [];
  }

  /** One of the operations in flight is done. @returns `lost` if it is a flush that has lost data, for all files */
  step(): 'lost' | undefined {
    const [operation] = this.#inFlight.splice(this.#random.below(Math.max(1, this.#inFlight.length)), 1);
    if (operation === undefined) return undefined;
    const { tag } = operation;
    if (this.#random.chance(5)) {
      this.#done.push({ tag, result: -this.#random.pick([Errno.EINTR, Errno.EAGAIN]) });
    } else if (operation.kind === 'write') {
      this.#disk.write(operation.block, this.#contentAt(operation.address));
      this.#done.push({ tag, result: this.#disk.blockBytes });
    } else if (this.hasUnreportedLoss) {
      this.hasUnreportedLoss = false;
      this.#done.push({ tag, result: -Errno.EIO });
    } else if (this.#random.chance(1)) {
      this.#disk.lose(operation.written);
      this.#done.push({ tag, result: -Errno.EIO });
      return 'lost';
    } else {
      this.#disk.keep(operation.written);
      this.#done.push({ tag, result: 0 });
    }
    return undefined;
  }

  /** Of the writes in flight, each may have reached the cache. */
  failPower(): void {
    for (const operation of this.#inFlight) {
      if (operation.kind !== 'write' || this.#random.chance(50)) continue;
      this.#disk.write(operation.block, this.#contentAt(operation.address));
    }
  }

  reap(done: (tag: number, result: number) => void): void {
    for (const { tag, result } of this.#done.splice(0)) done(tag, result);
  }

  cancel(): void {
    throw new RangeError('nothing is cancelled');
  }

  close(): void {
    throw new RangeError('a power failure closes nothing');
  }
}
