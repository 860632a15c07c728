import * as net from '../../../virtio/net.js';
import { CheckFailure, expectBytes, expectThat } from '../../finding.js';
import { withChecksum } from './checksum.js';
import { CWR, payloadOf, readSegment, TCP_CHECKSUM, tcpFrame, transportOf, type Flow } from './tcp.js';

/** The payload of a segment: it fits into a frame of the usual MTU. */
export const GSO_SIZE = 1400;

/** The header of a packet that combines segments. */
export function segmentsHeader(flow: Flow): Uint8Array {
  const header = new Uint8Array(net.HEADER_SIZE);
  const view = new DataView(header.buffer);
  view.setUint8(0, net.VIRTIO_NET_HDR_F_NEEDS_CSUM);
  view.setUint8(net.HEADER_GSO_TYPE, gsoTypeOf(flow));
  view.setUint16(net.HEADER_HEADERS, payloadOf(flow), true);
  view.setUint16(net.HEADER_GSO_SIZE, GSO_SIZE, true);
  view.setUint16(net.HEADER_CHECKSUM_START, transportOf(flow), true);
  view.setUint16(net.HEADER_CHECKSUM_OFFSET, TCP_CHECKSUM, true);
  return header;
}

/** gso_type of its packets. */
export function gsoTypeOf({ family, flags }: Flow): number {
  return family.gsoType | ((flags & CWR) === 0 ? 0 : net.VIRTIO_NET_HDR_GSO_ECN);
}

/** What may arrive. */
interface ReassemblyOptions {
  /** Features that the driver has accepted for it, for people. */
  readonly features: readonly string[];
  /** Packets that combine segments. */
  readonly mayCombine: boolean;
  /** Packets whose checksum is left to the receiver. */
  readonly mayBePartial: boolean;
}

/** The payload of a packet that combines segments, as it arrives: in the same packet, or in several. */
export class Reassembly {
  readonly flow: Flow;
  /** What was sent, for people. */
  readonly sent: string;
  readonly frame: Uint8Array;
  readonly #payload: Uint8Array;
  readonly #mayCombine: boolean;
  readonly #mayBePartial: boolean;
  #length = 0;

  /** @param length of the payload in bytes */
  constructor(flow: Flow, length: number, { features, mayCombine, mayBePartial }: ReassemblyOptions) {
    this.flow = flow;
    this.#payload = Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    this.frame = tcpFrame(flow, this.#payload);
    this.#mayCombine = mayCombine;
    this.#mayBePartial = mayBePartial;
    const congestion = (flow.flags & CWR) === 0 ? '' : ' and CWR';
    const driver = features.length === 0 ? 'without features' : `with ${features.join(', ')}`;
    this.sent = `${driver}: ${length} bytes of ${flow.family.name} with gso_size ${GSO_SIZE}${congestion}`;
  }

  get isComplete(): boolean {
    return this.#length === this.#payload.length;
  }

  /** Takes a packet of the flow that came, with its header. @throws CheckFailure */
  add(header: Uint8Array, frame: Uint8Array): void {
    const { sent } = this;
    const whole = this.#withChecksum(header, frame);
    const segment = readSegment(this.flow, whole);
    if (typeof segment === 'string') this.#fail(segment, 'a packet without a fault');
    const { sequence, flags, payload } = segment;
    if (sequence !== this.#length) this.#fail(`payload from byte ${sequence} on`, `from byte ${this.#length} on`);
    const most = this.#mostPayload(header);
    expectThat(payload.length > 0 && payload.length <= most, {
      sent,
      came: `a packet with ${payload.length} bytes of payload`,
      expected: `1 to ${most}`,
    });
    // Only the first segment says that the window was halved.
    const expected = sequence === 0 ? this.flow.flags & CWR : 0;
    if ((flags & CWR) !== expected) this.#fail(`CWR ${flags & CWR} from byte ${sequence} on`, `CWR ${expected}`);
    const end = this.#length + payload.length;
    expectBytes(`${sent}: payload from byte ${sequence} on`, payload, this.#payload.subarray(sequence, end));
    this.#length = end;
  }

  /** The most payload that a packet may have by its header. */
  #mostPayload(header: Uint8Array): number {
    const gsoType = header[net.HEADER_GSO_TYPE] ?? 0;
    if (gsoType === net.VIRTIO_NET_HDR_GSO_NONE) return GSO_SIZE;
    const allowed = gsoTypeOf(this.flow);
    if (!this.#mayCombine) this.#fail(`gso_type ${gsoType}`, 'NONE, 0');
    if (gsoType !== allowed) this.#fail(`gso_type ${gsoType}`, `NONE, 0, or ${allowed}`);
    const size = new DataView(header.buffer, header.byteOffset).getUint16(net.HEADER_GSO_SIZE, true);
    if (size !== GSO_SIZE) this.#fail(`gso_size ${size}`, String(GSO_SIZE));
    const isPartial = ((header[0] ?? 0) & net.VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    if (!isPartial) this.#fail(`gso_type ${gsoType} without NEEDS_CSUM`, 'NEEDS_CSUM with it');
    return this.#payload.length;
  }

  /** The frame with a checksum that its header leaves to the receiver. */
  #withChecksum(header: Uint8Array, frame: Uint8Array): Uint8Array {
    if (((header[0] ?? 0) & net.VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return frame;
    if (!this.#mayBePartial) this.#fail('NEEDS_CSUM', 'the whole checksum');
    const view = new DataView(header.buffer, header.byteOffset);
    const start = view.getUint16(net.HEADER_CHECKSUM_START, true);
    const offset = view.getUint16(net.HEADER_CHECKSUM_OFFSET, true);
    const wanted = transportOf(this.flow);
    if (start !== wanted || offset !== TCP_CHECKSUM) {
      this.#fail(`csum_start ${start}, csum_offset ${offset}`, `csum_start ${wanted}, csum_offset ${TCP_CHECKSUM}`);
    }
    return withChecksum(frame, start, offset);
  }

  /** @throws CheckFailure as no more packets came */
  failMissing(): never {
    this.#fail(`${this.#length} bytes of payload`, 'all of them');
  }

  #fail(came: string, expected: string): never {
    throw new CheckFailure({ sent: this.sent, came, expected });
  }
}
