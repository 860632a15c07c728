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
