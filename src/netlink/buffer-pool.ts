import { align } from './bytes.js';

/** Small pieces are cut from one large one: allocating memory outside V8's heap for each costs more than using it. */
const slabLength = 32 * 1024;
const longestPiece = 1024;
let slab = new Uint8Array(0);
let slabUsed = 0;

/** Returns zeroed memory of this length for a request or a part of one. */
export function allocate(length: number): Uint8Array {
  if (length > longestPiece) return new Uint8Array(length);
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(slabLength);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed = start + align(length);
  return slab.subarray(start, start + length);
}
