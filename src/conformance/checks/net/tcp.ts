/** TCP segments in frames, over IPv4 and IPv6: RFC 9293, 791 and 8200. */
import * as net from '../../../virtio/net.js';
import { wordSum } from './checksum.js';

const TCP = 6;
const TCP_BYTES = 20;
/** Where a TCP segment has its checksum. */
export const TCP_CHECKSUM = 16;
const ACK = 0x10;
/** The sender has halved its window: only the first of several segments may say so. RFC 3168 */
export const CWR = 0x80;

/** What depends on the version of IP. Addresses are of networks for documentation: RFC 5737 and 3849. */
interface Family {
  readonly name: string;
  readonly etherType: number;
  readonly gsoType: number;
  /** The length of the header in bytes, and where it has its addresses, one after the other. */
  readonly bytes: number;
  readonly addresses: number;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  /** Its header for so many bytes of TCP, without addresses. */
  readonly header: (length: number) => readonly number[];
}

const ipv6Address = (last: number): number[] => [0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), last];

export const IPV4: Family = {
  name: 'TCP over IPv4',
  etherType: 0x0800,
  gsoType: net.VIRTIO_NET_HDR_GSO_TCPV4,
  bytes: 20,
  addresses: 12,
  source: [192, 0, 2, 1],
  destination: [192, 0, 2, 2],
  // Identification 1, not to be fragmented, time to live 64.
  header: (length) => [0x45, 0, (length + 20) >> 8, (length + 20) & 0xff, 0, 1, 0x40, 0, 64, TCP, 0, 0],
};

export const IPV6: Family = {
  name: 'TCP over IPv6',
  etherType: 0x86dd,
  gsoType: net.VIRTIO_NET_HDR_GSO_TCPV6,
  bytes: 40,
  addresses: 8,
  source: ipv6Address(1),
  destination: ipv6Address(2),
  header: (length) => [0x60, 0, 0, 0, length >> 8, length & 0xff, TCP, 64],
};

/** A TCP connection in one direction. */
export interface Flow {
  readonly family: Family;
  /** Addresses of Ethernet. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Both ports. */
  readonly port: number;
  /** The flags besides ACK. */
  readonly flags: number;
}

/** A segment of a flow. */
export interface Segment {
  /** Its sequence number: the place of its payload in that of the flow. */
  readonly sequence: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** The offset of TCP in a frame, and that of its payload. */
export const transportOf = ({ family }: Flow): number => net.ETH_HLEN + family.bytes;
export const payloadOf = (flow: Flow): number => transportOf(flow) + TCP_BYTES;

/** A frame of a flow from sequence number 0 on. Its TCP checksum is only that of the pseudo header. */
export function tcpFrame(flow: Flow, payload: Uint8Array): Uint8Array {
  const { family, source, destination, port } = flow;
  const frame = new Uint8Array(payloadOf(flow) + payload.length);
  const view = new DataView(frame.buffer);
  const transport = transportOf(flow);
  frame.set([...destination, ...source]);
  view.setUint16(2 * net.ETH_ALEN, family.etherType);
  frame.set([...family.header(TCP_BYTES + payload.length), ...family.source, ...family.destination], net.ETH_HLEN);
  if (family === IPV4) view.setUint16(net.ETH_HLEN + 10, ~wordSum(headerOf(flow, frame)) & 0xffff);
  view.setUint16(transport, port);
  view.setUint16(transport + 2, port);
  view.setUint8(transport + 12, (TCP_BYTES / 4) << 4);
  view.setUint8(transport + 13, ACK | flow.flags);
  view.setUint16(transport + 14, 0xffff);
  view.setUint16(transport + TCP_CHECKSUM, pseudoSum(flow, frame));
  frame.set(payload, payloadOf(flow));
  return frame;
}

const headerOf = (flow: Flow, frame: Uint8Array): Uint8Array => frame.subarray(net.ETH_HLEN, transportOf(flow));

/** The sum of the pseudo header: the addresses, the protocol, and the length of TCP. */
function pseudoSum(flow: Flow, frame: Uint8Array): number {
  const addresses = frame.subarray(net.ETH_HLEN + flow.family.addresses, transportOf(flow));
  return wordSum(addresses, TCP + frame.length - transportOf(flow));
}

/** Whether a frame is one of a flow. */
export function isOfFlow(flow: Flow, frame: Uint8Array): boolean {
  if (frame.length < payloadOf(flow)) return false;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const transport = transportOf(flow);
  const { family, port } = flow;
  return (
    view.getUint16(2 * net.ETH_ALEN) === family.etherType &&
    [...family.source, ...family.destination].every(
      (octet, index) => frame[net.ETH_HLEN + family.addresses + index] === octet,
    ) &&
    view.getUint16(transport) === port &&
    view.getUint16(transport + 2) === port
  );
}

/** Reads a frame of a flow, which has its whole checksums. @returns what is wrong with it, if something is */
export function readSegment(flow: Flow, frame: Uint8Array): Segment | string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const transport = transportOf(flow);
  const isV4 = flow.family === IPV4;
  const length = isV4 ? view.getUint16(net.ETH_HLEN + 2) : view.getUint16(net.ETH_HLEN + 4) + flow.family.bytes;
  const came = frame.length - net.ETH_HLEN;
  if (length !== came) return `a packet of ${came} bytes whose header says ${length}`;
  if (isV4 && wordSum(headerOf(flow, frame)) !== 0xffff) return 'a wrong checksum of the IPv4 header';
  if (wordSum(frame.subarray(transport), pseudoSum(flow, frame)) !== 0xffff) return 'a wrong TCP checksum';
  return {
    sequence: view.getUint32(transport + 4),
    flags: view.getUint8(transport + 13),
    payload: frame.subarray(payloadOf(flow)),
  };
}
