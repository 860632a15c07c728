/** Determines whether a network interface is in use. */
import type { MachineFiles } from './machine-files.js';

/** A way in which a network interface of this machine is in use. */
export type InterfaceUser =
  | { readonly kind: 'up'; readonly netdev: string }
  /** The bridge, bond or switch that it is a port of. */
  | { readonly kind: 'master'; readonly netdev: string; readonly master: string }
  /** An interface on top of it: VLAN, macvlan. */
  | { readonly kind: 'upper'; readonly netdev: string; readonly upper: string }
  | { readonly kind: 'address'; readonly netdev: string; readonly address: string }
  | { readonly kind: 'route'; readonly netdev: string; readonly route: string }
  /** It was moved to another network namespace, where it is not visible. */
  | { readonly kind: 'namespace'; readonly virtio: string };

/** The addresses and routes of an interface, by its index. */
export type ReadInterfaceUses = (index: number) => Promise<{
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
}>;

/** IFF_UP of linux/if.h. */
const IFF_UP = 1;

/**
 * The ways in which an interface of this network namespace is in use.
 * @throws SystemError if sysfs cannot be read; NetlinkError if the kernel does not report addresses and routes
 */
export async function findInterfaceUsers(
  files: MachineFiles,
  netdev: string,
  readUses: ReadInterfaceUses,
): Promise<InterfaceUser[]> {
  const folder = `/sys/class/net/${netdev}`;
  const index = Number(files.text(`${folder}/ifindex`));
  if (!Number.isInteger(index) || index === 0) return [];
  const { addresses, routes } = await readUses(index);
  const master = files.linkName(`${folder}/master`);
  const uppers = files.list(folder).flatMap((part) => /^upper_(.+)$/.exec(part)?.[1] ?? []);
  return [
    ...(isUp(files.text(`${folder}/flags`)) ? [{ kind: 'up' as const, netdev }] : []),
    ...(master === undefined ? [] : [{ kind: 'master' as const, netdev, master }]),
    ...uppers.filter((upper) => upper !== master).map((upper) => ({ kind: 'upper' as const, netdev, upper })),
    ...addresses.map((address) => ({ kind: 'address' as const, netdev, address })),
    ...routes.map((route) => ({ kind: 'route' as const, netdev, route })),
  ];
}

/** The flags are in hexadecimal: 0x1003. */
function isUp(flags: string | undefined): boolean {
  return (Number(flags ?? 0) & IFF_UP) !== 0;
}

/** Human-readable: `eth0 has the address 192.0.2.1/24`. */
export function describeInterfaceUser(user: InterfaceUser): string {
  switch (user.kind) {
    case 'up':
      return `${user.netdev} is up`;
    case 'master':
      return `${user.netdev} is a port of ${user.master}`;
    case 'upper':
      return `${user.upper} is on top of ${user.netdev}`;
    case 'address':
      return `${user.netdev} has the address ${user.address}`;
    case 'route':
      return `${user.netdev} has the route ${user.route}`;
    case 'namespace':
      return `the interface of ${user.virtio} is in another network namespace`;
  }
}
