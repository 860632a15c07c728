/** The checksum of the Internet protocols: RFC 1071. */

/** The sum of the 16-bit words of bytes, folded to 16 bits. @param initial a sum to begin with */
export function wordSum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** The frame with a whole checksum: what is at its place so far is a part of the sum. */
export function withChecksum(frame: Uint8Array, start: number, offset: number): Uint8Array {
  const result = Uint8Array.from(frame);
  new DataView(result.buffer).setUint16(start + offset, ~wordSum(frame.subarray(start)) & 0xffff);
  return result;
}
