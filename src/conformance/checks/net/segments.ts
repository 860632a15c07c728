import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { NotApplicable } from '../../finding.js';
import { REPLY_MS, type CheckContext } from '../../context.js';
import type { Peer } from '../../peer.js';
import { Packets } from './packets.js';
import { RECEIVE_BYTES } from '../../work.js';
import { GSO_SIZE, Reassembly, segmentsHeader } from './reassembly.js';
import { CWR, IPV4, IPV6, isOfFlow, type Flow } from './tcp.js';

/** The header of a packet on a packet socket, which has no number of buffers. */
const PEER_HEADER = 10;
/** Payload of a few segments, and of as many as fit into a packet. */
const LENGTHS = [3001, 60_000];
/** An address that no device here has, locally administered: the IP of the peer does not answer. */
const STRANGER = Uint8Array.of(0x4e, 0x9b, 0x51, 0xe6, 0x2d, 0x98);

/** Tells the flows of a check from those of the one before. */
let lastPort = 20_000;
const nextPort = (): number => (lastPort = lastPort === 60_000 ? 20_000 : lastPort + 1);

/** The interface to which the device is connected. @throws NotApplicable if nobody has said it */
function requirePeer({ peer }: CheckContext): Peer {
  if (peer) return peer;
  throw new NotApplicable('this needs "peer NETDEV"');
}

/** Sends a packet and reads on the other side what arrives of it. */
function sendSegments(packets: Packets, peer: Peer, packet: Reassembly): void {
  const { flow } = packet;
  const socket = peer.open(flow.family.etherType);
  try {
    packets.send(packet.frame, segmentsHeader(flow));
    const bytes = new Uint8Array(net.MAX_PACKET);
    const end = performance.now() + REPLY_MS;
    while (!packet.isComplete) {
      const length = socket.read(bytes, Math.max(end - performance.now(), 0));
      if (length === undefined) packet.failMissing();
      const frame = bytes.slice(PEER_HEADER, length);
      if (isOfFlow(flow, frame)) packet.add(bytes.slice(0, PEER_HEADER), frame);
    }
  } finally {
    socket.close();
  }
}

/** Packets to receive, and the feature for their gso_type. */
const RECEIVED = [
  { family: IPV4, feature: 'GUEST_TSO4', flags: 0 },
  { family: IPV6, feature: 'GUEST_TSO6', flags: 0 },
  { family: IPV4, feature: 'GUEST_TSO4', flags: CWR },
] as const;

/** How a driver receives: the features that it accepts as far as they are offered, and its buffers. */
interface Receiving {
  readonly features: readonly string[];
  readonly buffers: { readonly count: number; readonly bytes: number };
}

/** Buffers for packets that combine segments, if they are not merged: clause 5.1.6.3.1 asks for 65562 bytes. */
const LARGE = { count: 11, bytes: 65_600 };
const USUAL = { count: 64, bytes: RECEIVE_BYTES };
/** Buffers that are left for packets of others. */
const FOREIGN = 3;

/** Without packets that combine segments, with each kind of them, and with them in merged buffers. */
function waysToReceive(context: CheckContext): readonly Receiving[] {
  const isOffered = (name: string): boolean => context.mask([name]) !== 0n;
  const kinds = [['GUEST_TSO4'], ['GUEST_TSO6'], ['GUEST_TSO4', 'GUEST_ECN']].filter((names) => names.every(isOffered));
  const combined = kinds.flatMap((names): Receiving[] => {
    const features = ['GUEST_CSUM', ...names];
    const ways: Receiving[] = [{ features, buffers: LARGE }];
    return isOffered('MRG_RXBUF') ? [...ways, { features: [...features, 'MRG_RXBUF'], buffers: USUAL }] : ways;
  });
  return [{ features: [], buffers: USUAL }, { features: ['GUEST_CSUM'], buffers: USUAL }, ...combined];
}

/** Sends a packet from the other side and receives what the device makes of it. */
function receiveSegments(packets: Packets, peer: Peer, packet: Reassembly, isMerged: boolean): void {
  const { flow, sent } = packet;
  const socket = peer.open(flow.family.etherType);
  try {
    socket.write(Buffer.concat([segmentsHeader(flow).subarray(0, PEER_HEADER), packet.frame]));
  } finally {
    socket.close();
  }
  const isOwn = (frame: Uint8Array): boolean => isOfFlow(flow, frame);
  while (!packet.isComplete) {
    const received = isMerged ? packets.receiveMerged(sent, isOwn) : packets.receive(REPLY_MS, isOwn);
    if (!received) packet.failMissing();
    packet.add(received.header, received.frame);
  }
}

/** Packets that combine TCP segments. */
export const netSegmentChecks: readonly Check[] = [
  {
    name: 'net-send-segments',
    clause: '5.1.6.2',
    rule: 'The payload of a packet with a gso_type arrives, in segments of at most gso_size with whole headers.',
    requires: { type: 'net', features: ['CSUM'] },
    covers: ['HOST_TSO4', 'HOST_TSO6', 'HOST_ECN'],
    run: (context) => {
      const peer = requirePeer(context);
      const families = (
        [
          ['HOST_TSO4', IPV4],
          ['HOST_TSO6', IPV6],
        ] as const
      ).filter(([name]) => context.mask([name]) !== 0n);
      if (families.length === 0) throw new NotApplicable('neither HOST_TSO4 nor HOST_TSO6 is offered');
      const ecn = context.mask(['HOST_ECN']) === 0n ? [] : ['HOST_ECN'];
      for (const [name, family] of families) {
        const features = ['CSUM', name, ...ecn];
        context.start({ features });
        const packets = new Packets(context);
        packets.requireLoopback();
        for (const flags of ecn.length === 0 ? [0] : [0, CWR]) {
          for (const length of LENGTHS) {
            const flow: Flow = { family, source: packets.mac, destination: STRANGER, port: nextPort(), flags };
            sendSegments(
              packets,
              peer,
              new Reassembly(flow, length, { features, mayCombine: true, mayBePartial: true }),
            );
          }
        }
      }
    },
  },
  {
    name: 'net-receive-segments',
    clause: '5.1.6.4.1',
    rule: 'A packet arrives in segments, or, with the feature of its gso_type, whole with gso_size and NEEDS_CSUM.',
    requires: { type: 'net' },
    covers: ['GUEST_TSO4', 'GUEST_TSO6', 'GUEST_ECN'],
    run: (context) => {
      const peer = requirePeer(context);
      for (const { features, buffers } of waysToReceive(context)) {
        context.start({ features });
        const packets = new Packets(context, buffers);
        packets.requireLoopback();
        const most = (Math.min(buffers.count, context.driver.ring(0).size) - FOREIGN) * GSO_SIZE;
        const mayBePartial = features.includes('GUEST_CSUM');
        for (const { family, feature, flags } of RECEIVED) {
          const mayCombine = features.includes(feature) && (flags === 0 || features.includes('GUEST_ECN'));
          const flow: Flow = { family, source: STRANGER, destination: packets.mac, port: nextPort(), flags };
          for (const length of mayCombine ? LENGTHS : LENGTHS.slice(0, 1)) {
            const packet = new Reassembly(flow, Math.min(length, most), { features, mayCombine, mayBePartial });
            receiveSegments(packets, peer, packet, features.includes('MRG_RXBUF'));
          }
        }
      }
    },
  },
];
