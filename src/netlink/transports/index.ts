import { NetlinkTransportError } from '../error.js';
import type { NetlinkTransport, TransportOptions } from '../transport.js';

/** The name of a transport. */
export type TransportName =
  /** The C library through koffi. Blocks the thread while the kernel works. */
  | 'koffi'
  /**
   * The package node-netlink, an optional dependency. Without socket options, so without error messages of the kernel.
   */
  | 'node-netlink';

/** Names of all transports, the default one first. */
export const transportNames: readonly TransportName[] = ['koffi', 'node-netlink'];

/** Transports to the netlink sockets of this machine. Each is loaded when it is first used. */
const transports: Readonly<Record<TransportName, (options: TransportOptions) => Promise<NetlinkTransport>>> = {
  koffi: async (options) => (await import('./koffi.js')).openKoffiTransport(options),
  'node-netlink': async (options) => (await import('./node-netlink.js')).openNodeNetlinkTransport(options),
};

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
