/** Netlink's numbers are in the machine's own byte order: this is DataView's `littleEndian` argument for them. */
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

/** The 16 bits at `at`, which is inside `bytes`, without the cost of a DataView. */
export function readUint16(bytes: Uint8Array, at: number): number {
  const first = byteAt(bytes, at);
  const second = byteAt(bytes, at + 1);
  return littleEndian ? first | (second << 8) : (first << 8) | second;
}

/** The 32 bits at `at`, which is inside `bytes`. */
export function readUint32(bytes: Uint8Array, at: number): number {
  const first = readUint16(bytes, at);
  const second = readUint16(bytes, at + 2);
  return (littleEndian ? first | (second << 16) : (first << 16) | second) >>> 0;
}

/** The 64 bits at `at`, which is inside `bytes`. */
export function readUint64(bytes: Uint8Array, at: number): bigint {
  const first = BigInt(readUint32(bytes, at));
  const second = BigInt(readUint32(bytes, at + 4));
  return littleEndian ? first | (second << 32n) : (first << 32n) | second;
}

/** The byte at `at`, which is inside `bytes`. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
