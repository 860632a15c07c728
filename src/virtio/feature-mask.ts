import { ArgumentError } from '../sys/error.js';
import { featureName } from './features.js';

/** A word with one bit set for each feature of a device type, by name. */
const bitsByName = new Map<number | undefined, ReadonlyMap<string, bigint>>();

/**
 * The feature word with the named bits set.
 * @param deviceId virtio device id; undefined for the transport's features only
 * @throws ArgumentError for a name that the device type does not have
 */
export function featureMask(deviceId: number | undefined, names: readonly string[]): bigint {
  const bits = featureBits(deviceId);
  let mask = 0n;
  for (const name of names) {
    const bit = bits.get(name);
    if (bit === undefined) throw new ArgumentError(`unknown feature ${name} of virtio device id ${deviceId}`);
    mask |= bit;
  }
  return mask;
}

/** Built as a whole: individual lookups take a noticeable part of a program's start-up. */
function featureBits(deviceId: number | undefined): ReadonlyMap<string, bigint> {
  const known = bitsByName.get(deviceId);
  if (known !== undefined) return known;
  const bits = new Map<string, bigint>();
  for (let bit = 0, word = 1n; bit < 64; bit++, word <<= 1n) {
    const name = featureName(bit, deviceId);
    if (name !== undefined) bits.set(name, word);
  }
  bitsByName.set(deviceId, bits);
  return bits;
}
