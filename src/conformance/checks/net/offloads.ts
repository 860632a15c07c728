import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { CheckFailure, expectBytes, expectEqual, expectThat } from '../../finding.js';
import { withChecksum } from './checksum.js';
import { Packets } from './packets.js';

/** The receive buffers of a driver that lets packets be merged from several: their size in bytes, and how many there are. */
const SMALL = 256;
const SMALL_BUFFERS = 64;

/** Where the checksum of a frame begins, and how far into that it is. */
const CHECKSUM_START = 34;
const CHECKSUM_OFFSET = 6;

/** A header that leaves the checksum to the device. */
function checksumHeader(): Uint8Array {
  const header = new Uint8Array(net.HEADER_SIZE);
  const view = new DataView(header.buffer);
  view.setUint8(0, net.VIRTIO_NET_HDR_F_NEEDS_CSUM);
  view.setUint16(net.HEADER_CHECKSUM_START, CHECKSUM_START, true);
  view.setUint16(net.HEADER_CHECKSUM_OFFSET, CHECKSUM_OFFSET, true);
  return header;
}

/** Packets in several buffers, and checksums that are left to the other side. */
export const netOffloadChecks: readonly Check[] = [
  {
    name: 'net-receive-merged',
    clause: '5.1.6.4.1',
    rule: 'With MRG_RXBUF, num_buffers is the number of buffers of a packet, and all but the last are full.',
    requires: { type: 'net', features: ['MRG_RXBUF'] },
    run: (context) => {
      context.start({ features: ['MRG_RXBUF'] });
      const packets = new Packets(context, { count: SMALL_BUFFERS, bytes: SMALL });
      packets.requireLoopback();
      for (const [index, length] of [60, SMALL - net.HEADER_SIZE, SMALL - net.HEADER_SIZE + 1, 1000, 1514].entries()) {
        const frame = packets.broadcast(length, index);
        packets.send(frame);
        const sent = `send ${length} bytes, for buffers of ${SMALL}`;
        const received = packets.receiveMerged(sent);
        if (!received) throw new CheckFailure({ sent, came: 'no packet', expected: 'the packet' });
        expectBytes(sent, received.frame, frame);
      }
    },
  },
  {
    name: 'net-send-checksum',
    clause: '5.1.6.4.1',
    rule: 'Without GUEST_CSUM, a packet whose checksum was left to the device arrives with the whole checksum.',
    requires: { type: 'net', features: ['CSUM'] },
    run: (context) => {
      context.start({ features: ['CSUM'] });
      const packets = new Packets(context);
      for (const length of [64, 65, 1514]) {
        const frame = packets.broadcast(length, length);
        const sent = `send ${length} bytes with NEEDS_CSUM`;
        const received = packets.echo(frame, checksumHeader());
        expectEqual(`${sent}: flags`, received.header[0] ?? 0, 0);
        expectBytes(sent, received.frame, withChecksum(frame, CHECKSUM_START, CHECKSUM_OFFSET));
      }
    },
  },
  {
    name: 'net-receive-checksum',
    clause: '5.1.6.4.1',
    rule: 'With GUEST_CSUM, a packet arrives with the whole checksum, or with the place where it belongs.',
    requires: { type: 'net', features: ['CSUM', 'GUEST_CSUM'] },
    run: (context) => {
      context.start({ features: ['CSUM', 'GUEST_CSUM'] });
      const packets = new Packets(context);
      const frame = packets.broadcast(1000);
      const sent = 'send 1000 bytes with NEEDS_CSUM';
      const { header, frame: came } = packets.echo(frame, checksumHeader());
      const view = new DataView(header.buffer, header.byteOffset);
      const start = view.getUint16(net.HEADER_CHECKSUM_START, true);
      const offset = view.getUint16(net.HEADER_CHECKSUM_OFFSET, true);
      const isPartial = (view.getUint8(0) & net.VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
      expectThat(!isPartial || start + offset + 2 <= came.length, {
        sent,
        came: `csum_start ${start}, csum_offset ${offset}`,
        expected: `a place in ${came.length} bytes`,
      });
      const whole = isPartial ? withChecksum(came, start, offset) : came;
      expectBytes(sent, whole, withChecksum(frame, CHECKSUM_START, CHECKSUM_OFFSET));
    },
  },
];
