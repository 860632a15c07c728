import { PackedDriver } from './packed-driver.js';
import type { RingDriver } from './ring-driver.js';
import { SplitDriver } from './split-driver.js';

/** What both forms have in common when a driver is made. */
export interface RingPlace {
  /** Memory that the device sees at IOVA `base`. */
  readonly buffer: ArrayBuffer;
  readonly base: number;
  /** The IOVA of the rings in it. */
  readonly iova: number;
  readonly size: number;
  /** Number of descriptors that were used before. */
  readonly start: number;
}

export function createDriver(packed: boolean, { buffer, base, iova, size, start }: RingPlace): RingDriver {
  if (packed) return new PackedDriver(buffer, base, iova, size, start);
  const driver = new SplitDriver(buffer, base, iova, size);
  driver.setAvailableIndex(start);
  driver.usedIndex = start;
  driver.seenUsed = start;
  return driver;
}
