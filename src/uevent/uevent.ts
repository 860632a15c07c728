/**
 * What the kernel says of devices that come, go and change: lib/kobject_uevent.c, over NETLINK_KOBJECT_UEVENT. A datagram
 * is no netlink message but text: `add@/devices/foo0`, then `KEY=VALUE` words, each with a NUL behind it.
 */
import { openTransport } from '../netlink/transports/index.js';
import { NETLINK_KOBJECT_UEVENT } from '../netlink/constants.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import { decodeText } from '../netlink/text.js';
import type { NetlinkTransport } from '../netlink/transport.js';

/** An event of the kernel's device model. */
export interface Uevent {
  /** `add`, `remove`, `change`, `move`, `bind`, `unbind`, `online`, `offline`. */
  readonly action: string;
  /** The device's folder, below /sys: `/devices/foo0`. */
  readonly devpath: string;
  /** The bus or class: `vdpa`, `net`. */
  readonly subsystem: string;
  /** All words, those above too: `DRIVER`, `INTERFACE`, `DEVNAME`, `SEQNUM`. */
  readonly words: ReadonlyMap<string, string>;
}

/** The multicast group in which the kernel itself speaks; udev repeats events in another. */
const kernelGroup = 1;

/** Room for a burst: one device makes a dozen events of about 200 bytes, for which the kernel counts about 1 KiB each. */
const receiveBufferSize = 32 * 1024 * 1024;

/**
 * Opens a socket that hears the kernel's events from now on.
 * @throws NetlinkUnavailableError, NetlinkError where the machine gives none; NetlinkTransportError with a transport that has
 *   no multicast groups
 */
export function openUevents(): Promise<NetlinkTransport> {
  return openTransport({
    protocol: NETLINK_KOBJECT_UEVENT,
    groups: [kernelGroup],
    receiveBufferSize,
    waitBeside: true,
  });
}

/** Reads one datagram. @throws NetlinkProtocolError where it lacks a device or what happened to it */
export function parseUevent(datagram: Uint8Array): Uevent {
  const words = new Map<string, string>();
  for (const word of decodeText(datagram).split('\0')) {
    const at = word.indexOf('=');
    if (at > 0) words.set(word.slice(0, at), word.slice(at + 1));
  }
  const action = words.get('ACTION');
  const devpath = words.get('DEVPATH');
  const subsystem = words.get('SUBSYSTEM');
  if (action === undefined || devpath === undefined || subsystem === undefined) {
    throw new NetlinkProtocolError('a kernel event does not say what happened to which device');
  }
  return { action, devpath, subsystem, words };
}
