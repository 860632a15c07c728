import { execFileSync } from 'node:child_process';

/** The PCI devices of the machine qemu, as lab/machine/pci-devices.ts makes them. */
export const PCI = {
  /** Four queue pairs; its packets are dropped. */
  netOfSeveralPairs: '0000:00:05.0',
  /** Two queues, 64 MiB. */
  block: '0000:00:06.0',
  /** One pair, connected to {@link PCI.netWithMtu}. */
  net: '0000:00:07.0',
  /** One pair, with an MTU of 9000. */
  netWithMtu: '0000:00:08.0',
  rng: '0000:00:09.0',
} as const;

export type PciAddress = (typeof PCI)[keyof typeof PCI];

/**
 * Binds PCI devices to vp_vdpa; by default all that have no driver.
 * @returns the management devices that they become: `pci/0000:00:06.0`
 * @throws {Error} if it rejects one
 */
export const bindVpVdpa = (...addresses: readonly PciAddress[]): string[] =>
  execFileSync('bind-vp-vdpa', addresses, { encoding: 'utf8' }).trim().split('\n');
