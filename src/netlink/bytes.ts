/** Netlink uses the byte order of the machine: the value of DataView's `littleEndian` argument. */
export const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** NLMSG_ALIGNTO and NLA_ALIGNTO. */
const alignment = 4;

/** Rounds a length up to netlink's alignment of 4 bytes. */
export function align(length: number): number {
  return (length + alignment - 1) & ~(alignment - 1);
}

/** A DataView over the same memory as `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Offsets of the low and the high byte of 16 bits. */
export const low = littleEndian ? 0 : 1;
export const high = 1 - low;

/** The 16 bits at `at`, which is inside `bytes`, without the cost of a DataView. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at + low] ?? 0) | ((bytes[at + high] ?? 0) << 8);
}

/** The 32 bits at `at`, which is inside `bytes`. */
export function readUint32(bytes: Uint8Array, at: number): number {
  const lower = at + 2 * low;
  const upper = at + 2 * high;
  const half = (bytes[lower + low] ?? 0) | ((bytes[lower + high] ?? 0) << 8);
  return (half | ((bytes[upper + low] ?? 0) << 16) | ((bytes[upper + high] ?? 0) << 24)) >>> 0;
}

/** The 32 bits at `at`, which is inside `bytes`, as a signed number. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) | 0;
}

/** The 64 bits at `at`, which is inside `bytes`. */
export function readUint64(bytes: Uint8Array, at: number): bigint {
  return BigInt(readUint32(bytes, at + 4 * low)) | (BigInt(readUint32(bytes, at + 4 * high)) << 32n);
}

/** Writes 16 bits at `at`, which is inside `bytes`; higher bits are ignored. */
export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at + low] = value;
  bytes[at + high] = value >>> 8;
}

/** Writes 32 bits at `at`, which is inside `bytes`; higher bits are ignored. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  writeUint16(bytes, at + 2 * low, value);
  writeUint16(bytes, at + 2 * high, value >>> 16);
}

/** Writes 64 bits at `at`, which is inside `bytes`; higher bits are ignored. */
export function writeUint64(bytes: Uint8Array, at: number, value: bigint): void {
  writeUint32(bytes, at + 4 * low, Number(value & 0xffff_ffffn));
  writeUint32(bytes, at + 4 * high, Number((value >> 32n) & 0xffff_ffffn));
}
