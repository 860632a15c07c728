import { NetlinkTransportError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** Transports to the netlink sockets of this machine. Each is loaded when it is first used. */
const transports = {
  /** The C library through koffi. Blocks the thread while the kernel works. */
  koffi: async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./koffi.js')).openKoffiTransport(options),
  /**
   * The package node-netlink, an optional dependency. Without socket options, so without error messages of the kernel.
   */
  'node-netlink': async (options: TransportOptions): Promise<NetlinkTransport> =>
    (await import('./node-netlink.js')).openNodeNetlinkTransport(options),
};

/** The name of a transport. */
export type TransportName = keyof typeof transports;

/** Names of all transports, the default one first. */
export const transportNames = Object.keys(transports) as readonly TransportName[];

/**
 * The transport named by the environment variable VDPA_NETLINK_TRANSPORT, or koffi if it is unset or empty.
 * @throws NetlinkTransportError if it names no transport.
 */
export function chosenTransport(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): TransportName {
  const name = environment['VDPA_NETLINK_TRANSPORT'];
  if (name === undefined || name === '') return 'koffi';
  const known = transportNames.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new NetlinkTransportError(
      `Invalid VDPA_NETLINK_TRANSPORT "${name}": expected ${transportNames.join(' or ')}`,
    );
  }
  return known;
}

/**
 * Opens a netlink socket of this machine.
 * @param transport the transport; by default {@link chosenTransport}.
 * @throws NetlinkUnavailableError if the machine has no such netlink protocol; NetlinkError for other errors of the
 * system; NetlinkTransportError if the transport is unknown, not installed, or does not support the options.
 */
export async function openTransport(
  options: TransportOptions,
  transport: TransportName = chosenTransport(),
): Promise<NetlinkTransport> {
  return await transports[transport](options);
}
