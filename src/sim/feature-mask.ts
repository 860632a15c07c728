import { featureBit } from '../virtio/features.js';

/** The feature word with the named bits set. @throws RangeError for a name that the device type does not have. */
export function featureMask(deviceId: number | undefined, names: readonly string[]): bigint {
  let mask = 0n;
  for (const name of names) {
    const bit = featureBit(name, deviceId);
    if (bit === undefined) throw new RangeError(`${name} is no feature of a virtio device with id ${deviceId}`);
    mask |= 1n << BigInt(bit);
  }
  return mask;
}
