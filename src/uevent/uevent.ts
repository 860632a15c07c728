/**
 * The kernel's events of devices that are added, removed or changed: lib/kobject_uevent.c, over NETLINK_KOBJECT_UEVENT.
 * A datagram is text instead of a netlink message: `add@/devices/foo0`, followed by `KEY=VALUE` entries, each
 * terminated by a NUL.
 */
import { openTransport } from '../netlink/transports/index.js';
import { NETLINK_KOBJECT_UEVENT } from '../netlink/constants.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import { decodeText } from '../netlink/text-encoding.js';
import type { NetlinkTransport } from '../netlink/transport.js';

/** An event of the kernel's device model. */
export interface Uevent {
  /** `add`, `remove`, `change`, `move`, `bind`, `unbind`, `online`, `offline`. */
  readonly action: string;
  /** The device's directory, below /sys: `/devices/foo0`. */
  readonly devpath: string;
  /** The bus or class: `vdpa`, `net`. */
  readonly subsystem: string;
  /** All entries, including those above: `DRIVER`, `INTERFACE`, `DEVNAME`, `SEQNUM`. */
  readonly variables: ReadonlyMap<string, string>;
}

/** The multicast group of the kernel's own events; udev repeats events in another one. */
const kernelGroup = 1;

/**
 * Space for a burst: one device causes a dozen events of about 200 bytes, each of which the kernel counts as about 1
 * KiB.
 */
const receiveBufferSize = 32 * 1024 * 1024;

/**
 * Opens a socket that receives the kernel's events from now on.
 * @throws NetlinkUnavailableError, NetlinkError if the machine provides none; NetlinkTransportError with a transport
 * without multicast groups
 */
export function openUevents(): Promise<NetlinkTransport> {
  return openTransport({
    protocol: NETLINK_KOBJECT_UEVENT,
    groups: [kernelGroup],
    receiveBufferSize,
    waitBeside: true,
  });
}

/**
 * Parses one datagram. An entry without a NUL is incomplete, and is left out.
 * @throws NetlinkProtocolError if the device or the action is missing
 */
export function parseUevent(datagram: Uint8Array): Uevent {
  const variables = new Map<string, string>();
  for (const word of decodeText(datagram).split('\0').slice(0, -1)) {
    const at = word.indexOf('=');
    if (at > 0) variables.set(word.slice(0, at), word.slice(at + 1));
  }
  const action = variables.get('ACTION');
  const devpath = variables.get('DEVPATH');
  const subsystem = variables.get('SUBSYSTEM');
  if (action === undefined || devpath === undefined || subsystem === undefined) {
    throw new NetlinkProtocolError('a kernel event lacks its action or device');
  }
  return { action, devpath, subsystem, variables };
}
