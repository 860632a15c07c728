import { Errno } from '../../../sys/errno.js';
import { VDPA_ATTR_DEV_FEATURES } from '../../../vdpa/uapi.js';
import { Refusal } from '../../netlink/refusal.js';

/**
 * The arguments of `dev add`: `struct vdpa_dev_set_config`. A bit of `mask` is set for each VDPA_ATTR_* that was given.
 */
export interface AddConfig {
  readonly mask: bigint;
  /** Six bytes. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  readonly maxVirtqueuePairs?: number;
  readonly features?: bigint;
}

/** The bit of an attribute in a mask of attributes. */
export function attributeBit(attribute: number): bigint {
  return 1n << BigInt(attribute);
}

/** The features that `dev add` requests; undefined if the device chooses them. @throws Refusal */
export function requestedFeatures(config: AddConfig, supported: bigint): bigint | undefined {
  if ((config.mask & attributeBit(VDPA_ATTR_DEV_FEATURES)) === 0n || config.features === undefined) return undefined;
  if ((config.features & ~supported) !== 0n) throw new Refusal(Errno.EINVAL);
  return config.features;
}
