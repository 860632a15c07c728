/** What vdpasim_net and vdpasim_blk have in common: drivers/vdpa/vdpa_sim/vdpa_sim.c */

/** VDPASIM_QUEUE_MAX */
export const maxVirtqueueSize = 256;

/**
 * The names in /sys/devices, which also has the devices without a parent: those of a User-Mode Linux machine, and of
 * management devices without a bus.
 */
export function rootNames(managementDevices: readonly { readonly bus?: string; readonly name: string }[]): string[] {
  const own = managementDevices.filter(({ bus }) => bus === undefined).map(({ name }) => name);
  return ['faux', 'pci0000:00', 'platform', 'system', 'virtual', ...own];
}
