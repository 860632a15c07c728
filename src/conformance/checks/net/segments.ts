import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { NotApplicable } from '../../finding.js';
import { REPLY_MS, type CheckContext } from '../../context.js';
import type { Peer } from '../../peer.js';
import { Packets } from './packets.js';
import { Reassembly, segmentsHeader } from './reassembly.js';
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
];
