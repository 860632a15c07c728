/** The addresses and routes of a network interface: rtnetlink(7). */
import { SocketAddress } from 'node:net';
import { AttributeList, AttributeWriter } from '../netlink/attribute.js';
import { littleEndian, viewOf } from '../netlink/bytes.js';
import { NETLINK_ROUTE, NLM_F_DUMP, NLM_F_DUMP_FILTERED } from '../netlink/constants.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import type { NetlinkMessage } from '../netlink/message.js';
import { NetlinkSocket } from '../netlink/socket.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import * as rt from './constants.js';

/** The addresses and routes of an interface. */
export interface InterfaceUses {
  /** `192.0.2.1/24`; without link-local ones, which every interface that is up has. */
  readonly addresses: readonly string[];
  /** `default`, `198.51.100.0/24`; without those that the kernel creates for addresses. */
  readonly routes: readonly string[];
}

/** Length of struct ifaddrmsg. */
const ADDRESS_HEADER = 8;
/** Length of struct rtmsg. */
const ROUTE_HEADER = 12;
/** Length of struct rtnexthop, and the offset of its interface index. */
const NEXT_HOP = { length: 8, index: 4 } as const;

/**
 * Requests the addresses and routes of an interface of this network namespace, of all routing tables.
 * @param index of the interface: /sys/class/net/NAME/ifindex
 * @param transport the transport; by default to the kernel of this machine
 * @throws NetlinkUnavailableError, NetlinkError; NetlinkProtocolError if an answer is invalid
 */
export async function readInterfaceUses(index: number, transport?: NetlinkTransport): Promise<InterfaceUses> {
  if (transport === undefined) {
    const { openTransport } = await import('../netlink/transports/index.js');
    transport = await openTransport({ protocol: NETLINK_ROUTE, strictChecks: true });
  }
  const socket = new NetlinkSocket(transport);
  try {
    return { addresses: await readAddresses(socket, index), routes: await readRoutes(socket, index) };
  } finally {
    await socket.close();
  }
}

async function readAddresses(socket: NetlinkSocket, index: number): Promise<string[]> {
  const request = new Uint8Array(ADDRESS_HEADER);
  viewOf(request).setUint32(4, index, littleEndian);
  const operation = 'list the addresses of an interface';
  const messages = await socket.gather(rt.RTM_GETADDR, NLM_F_DUMP, request, { operation });
  return messages.flatMap((message) => {
    const header = headerOf(message, rt.RTM_NEWADDR, ADDRESS_HEADER);
    const [family = 0, prefix = 0, , scope] = message.payload;
    // Older kernels, without a filter, send those of all interfaces.
    if (header?.getUint32(4, littleEndian) !== index || scope === rt.RT_SCOPE_LINK) return [];
    const attributes = AttributeList.parse(message.payload, ADDRESS_HEADER);
    const address = attributes.bytes(rt.IFA_LOCAL) ?? attributes.bytes(rt.IFA_ADDRESS);
    return address === undefined ? [] : [`${formatAddress(family, address)}/${prefix}`];
  });
}

async function readRoutes(socket: NetlinkSocket, index: number): Promise<string[]> {
  const routes: string[] = [];
  for (const family of [rt.AF_INET, rt.AF_INET6]) {
    const header = new Uint8Array(ROUTE_HEADER);
    header[0] = family;
    const request = Buffer.concat([header, new AttributeWriter().u32(rt.RTA_OIF, index).finish()]);
    const operation = 'list the routes of an interface';
    for (const message of await socket.gather(rt.RTM_GETROUTE, NLM_F_DUMP, request, { operation })) {
      if (headerOf(message, rt.RTM_NEWROUTE, ROUTE_HEADER) === undefined) continue;
      const [, prefix = 0, , , , protocol, , type] = message.payload;
      if (protocol === rt.RTPROT_KERNEL || type !== rt.RTN_UNICAST) continue;
      const attributes = AttributeList.parse(message.payload, ROUTE_HEADER);
      // A kernel that filters knows more than the route contains: the interfaces of its nexthop object (ip-nexthop(8)).
      const isFiltered = (message.flags & NLM_F_DUMP_FILTERED) !== 0;
      if (!isFiltered && !interfacesOf(attributes).includes(index)) continue;
      const target = attributes.bytes(rt.RTA_DST);
      routes.push(target === undefined ? 'default' : `${formatAddress(family, target)}/${prefix}`);
    }
  }
  return routes;
}

/** The interfaces of a route: one, or that of each next hop. */
function interfacesOf(attributes: AttributeList): number[] {
  const interfaces: number[] = [];
  const own = attributes.u32(rt.RTA_OIF);
  if (own !== undefined) interfaces.push(own);
  const hops = attributes.bytes(rt.RTA_MULTIPATH);
  if (hops === undefined) return interfaces;
  const view = viewOf(hops);
  for (let at = 0; at + NEXT_HOP.length <= hops.length;) {
    interfaces.push(view.getUint32(at + NEXT_HOP.index, littleEndian));
    const length = view.getUint16(at, littleEndian);
    if (length < NEXT_HOP.length) throw new NetlinkProtocolError(`a next hop has an invalid length of ${length}`);
    at += (length + 3) & ~3;
  }
  return interfaces;
}

/** The header of a message of that type; undefined for other types. @throws NetlinkProtocolError if it is truncated */
function headerOf({ type, payload }: NetlinkMessage, wanted: number, length: number): DataView | undefined {
  if (type !== wanted) return undefined;
  if (payload.length < length) {
    throw new NetlinkProtocolError(
      `rtnetlink message has ${payload.length} bytes, too few for its header of ${length}`,
    );
  }
  return viewOf(payload);
}

/** An address in its usual notation. @throws NetlinkProtocolError if its length is not that of its family */
function formatAddress(family: number, bytes: Uint8Array): string {
  if (family === rt.AF_INET && bytes.length === 4) return bytes.join('.');
  if (family !== rt.AF_INET6 || bytes.length !== 16) {
    throw new NetlinkProtocolError(`an address of family ${family} has ${bytes.length} bytes`);
  }
  const view = viewOf(bytes);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(2 * index).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
