import { NetlinkTransportError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** The ways to reach the machine's netlink sockets. Each is loaded when it is first used. */
const transports = {
  /** The C library through koffi. Blocks the thread while the kernel works. */
  koffi: async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./koffi.js')).openKoffiTransport(options),
  /** The package node-netlink, an optional dependency. Sets no socket options, so kernels' error texts do not come. */
  'node-netlink': async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./node-netlink.js')).openNodeNetlinkTransport(options),
};

/** The name of a transport. */
export type TransportName = keyof typeof transports;

/** Names of all transports, the default one first. */
export const transportNames = Object.keys(transports) as readonly TransportName[];

/**
 * The transport that the environment variable VDPA_NETLINK_TRANSPORT names, or koffi where it is unset or empty.
 * @throws NetlinkTransportError where it names none.
 */
export function chosenTransport(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): TransportName {
  const name = environment['VDPA_NETLINK_TRANSPORT'];
  if (name === undefined || name === '') return 'koffi';
  const known = transportNames.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new NetlinkTransportError(
      `VDPA_NETLINK_TRANSPORT is "${name}"; known transports are ${transportNames.join(' and ')}`,
    );
  }
  return known;
}

/**
 * Opens a netlink socket of this machine.
 * @param transport the way to reach it; what {@link chosenTransport} says where not given.
 * @throws NetlinkUnavailableError where the machine has no such netlink; NetlinkError where it refuses otherwise;
 *   NetlinkTransportError where the transport is unknown or not installed, or cannot do what the options ask for.
 */
export async function openTransport(
  options: TransportOptions,
  transport: TransportName = chosenTransport(),
): Promise<NetlinkTransport> {
  return await transports[transport](options);
}
