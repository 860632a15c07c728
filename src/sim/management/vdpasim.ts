/** What vdpasim_net and vdpasim_blk have in common: drivers/vdpa/vdpa_sim/vdpa_sim.c */
import { Errno } from '../../sys/errno.js';
import { VDPA_ATTR_DEV_FEATURES } from '../../vdpa/uapi.js';
import { Refusal } from '../refusal.js';
import type { AddConfig } from './driver.js';

/** VDPASIM_QUEUE_MAX */
export const maxVirtqueueSize = 256;

/** The bit of an attribute in a mask of attributes. */
export function attributeBit(attribute: number): bigint {
  return 1n << BigInt(attribute);
}

/** The features that `dev add` asks for, undefined where it leaves them to the device. @throws Refusal */
export function chosenFeatures(config: AddConfig, supported: bigint): bigint | undefined {
  if ((config.mask & attributeBit(VDPA_ATTR_DEV_FEATURES)) === 0n || config.features === undefined) return undefined;
  if ((config.features & ~supported) !== 0n) throw new Refusal(Errno.EINVAL);
  return config.features;
}

/**
 * The names in /sys/devices, where devices without a parent are put too: those of a User-Mode Linux machine and those
 * of management devices on no bus.
 */
export function rootNames(managementDevices: readonly { readonly bus?: string; readonly name: string }[]): string[] {
  const own = managementDevices.filter(({ bus }) => bus === undefined).map(({ name }) => name);
  return ['faux', 'pci0000:00', 'platform', 'system', 'virtual', ...own];
}
