/** The bytes of a structure of the kernel, in the byte order of the machine. */

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** A `struct` of the kernel: numbers at offsets. */
export class Structure {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, littleEndian);
    return this;
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, littleEndian);
    return this;
  }

  s32(offset: number, value: number): this {
    this.#view.setInt32(offset, value, littleEndian);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.#view.setBigUint64(offset, value, littleEndian);
    return this;
  }

  readU8(offset: number): number {
    return this.#view.getUint8(offset);
  }

  readU16(offset: number): number {
    return this.#view.getUint16(offset, littleEndian);
  }

  readU32(offset: number): number {
    return this.#view.getUint32(offset, littleEndian);
  }

  readU64(offset: number): bigint {
    return this.#view.getBigUint64(offset, littleEndian);
  }
}
