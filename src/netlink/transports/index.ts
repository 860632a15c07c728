import { NetlinkBindingError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** The ways to reach the machine's netlink sockets. Each is loaded when it is first used. */
const bindings = {
  /** The C library through koffi. Blocks the thread while the kernel works. */
  koffi: async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./koffi.js')).openKoffiTransport(options),
  /** The package node-netlink, an optional dependency. Sets no socket options, so kernels' error texts do not come. */
  'node-netlink': async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./node-netlink.js')).openNodeNetlinkTransport(options),
};

/** The name of a binding. */
export type BindingName = keyof typeof bindings;

/** Names of all bindings, the default one first. */
export const bindingNames = Object.keys(bindings) as readonly BindingName[];

/**
 * The binding that the environment variable VDPA_NETLINK_BINDING names, or koffi where it is unset or empty.
 * @throws NetlinkBindingError where it names none.
 */
export function chosenBinding(environment: Readonly<Record<string, string | undefined>> = process.env): BindingName {
  const name = environment['VDPA_NETLINK_BINDING'];
  if (name === undefined || name === '') return 'koffi';
  const known = bindingNames.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new NetlinkBindingError(
      `VDPA_NETLINK_BINDING is "${name}"; known bindings are ${bindingNames.join(' and ')}`,
    );
  }
  return known;
}

/**
 * Opens a netlink socket of this machine.
 * @param binding the way to reach it; what {@link chosenBinding} says where not given.
 * @throws NetlinkUnavailableError where the machine has no such netlink; NetlinkError where it refuses otherwise;
 *   NetlinkBindingError where the binding is unknown or not installed, or cannot do what the options ask for.
 */
export async function openTransport(
  options: TransportOptions,
  binding: BindingName = chosenBinding(),
): Promise<NetlinkTransport> {
  return await bindings[binding](options);
}
