import assert from 'node:assert/strict';

/**
 * What a driver knows of the blocks of its disk. Each write has a number of its own, larger than those before, and no two
 * writes of a block are in flight together. A block that was never written is 0.
 */
export class BlockHistory {
  readonly blocks: number;
  /** The block of each write, by number. */
  readonly #blockOf: number[] = [-1];
  /** What a block has at least: the last write that was answered, or what was found since. */
  readonly #least: Uint32Array;
  /** The same after a power failure. */
  readonly #durable: Uint32Array;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.#least = new Uint32Array(blocks);
    this.#durable = new Uint32Array(blocks);
  }

  get writes(): number {
    return this.#blockOf.length - 1;
  }

  /** Whether each of the first blocks has a later write than this. */
  hasAll(blocks: number, number: number): boolean {
    return this.#least.subarray(0, blocks).every((least) => least > number);
  }

  /** A write begins. @returns its number */
  write(block: number): number {
    return this.#blockOf.push(block) - 1;
  }

  /** A write was answered. @param durable whether that makes it durable */
  wrote(block: number, number: number, durable: boolean): void {
    this.#least[block] = number;
    if (durable) this.#durable[block] = number;
  }

  /** What a flush that begins now makes durable. */
  get covered(): Uint32Array {
    return this.#least.slice();
  }

  /** A flush was answered. */
  flushed(covered: Uint32Array): void {
    covered.forEach((number, block) => (this.#durable[block] = Math.max(number, this.#durable[block] ?? 0)));
  }

  /** A read was answered: it has the last write that was answered, or a later one, and so does every later read. */
  found(block: number, number: number, where: string): void {
    this.#check(block, number, this.#least[block] ?? 0, where);
    this.#least[block] = number;
  }

  /** What a power failure has left of all blocks. @returns how many of them had been made durable */
  foundAfterPowerFailure(numbers: Uint32Array, where: string): number {
    let durable = 0;
    for (let block = 0; block < this.blocks; block++) {
      const least = this.#durable[block] ?? 0;
      const number = numbers[block] ?? 0;
      this.#check(block, number, least, where);
      this.#least[block] = number;
      this.#durable[block] = number;
      if (least > 0) durable++;
    }
    return durable;
  }

  #check(block: number, number: number, least: number, where: string): void {
    assert.ok(number >= least, `${where}: block ${block} has write ${number}, but it had ${least} before`);
    assert.ok(
      number === 0 || this.#blockOf[number] === block,
      `${where}: block ${block} has write ${number} of another`,
    );
  }
}
