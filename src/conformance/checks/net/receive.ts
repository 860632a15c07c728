import { netConfigOffset } from '../../../virtio/config-space.js';
import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { expectBytes, expectEqual, expectThat, NotApplicable } from '../../finding.js';
import { buffersOf, Packets } from './packets.js';

const type = { type: 'net' } as const;
/** An address that no device here has, locally administered. */
const STRANGER = Uint8Array.of(0x4e, 0x9b, 0x51, 0xe6, 0x2d, 0x97);

/** The configuration of a network device, and packets that come back to the sender. */
export const netChecks: readonly Check[] = [
  {
    name: 'net-config',
    clause: '5.1.4.1',
    rule: 'The fields of the configuration are in their ranges.',
    requires: type,
    covers: ['MAC', 'MTU', 'STATUS', 'MQ'],
    run: (context) => {
      const { config } = context.target;
      const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
      const sent = 'read the configuration';
      if (context.mask(['MTU']) !== 0n) {
        const mtu = view.getUint16(netConfigOffset.mtu, true);
        expectThat(mtu >= 68, { sent, came: `mtu ${mtu}`, expected: '68 to 65535' });
      }
      if (context.mask(['MAC']) !== 0n) {
        const [first = 0] = config;
        expectThat((first & 1) === 0, { sent, came: `a MAC address that begins with ${first}`, expected: 'no group' });
      }
      if (context.mask(['STATUS']) !== 0n) {
        const status = view.getUint16(netConfigOffset.status, true);
        expectThat(status <= 3, { sent, came: `status ${status}`, expected: 'LINK_UP, ANNOUNCE or neither' });
      }
      if (context.mask(['MQ']) !== 0n) {
        const pairs = view.getUint16(netConfigOffset.maxVirtqueuePairs, true);
        const isValid = pairs >= 1 && pairs <= 0x8000;
        expectThat(isValid, { sent, came: `max_virtqueue_pairs ${pairs}`, expected: '1 to 32768' });
      }
    },
  },
  {
    name: 'net-mac-address',
    clause: '5.1.5',
    rule: 'A device that offers MAC has an address.',
    requires: { type: 'net', features: ['MAC'] },
    run: ({ target: { config } }) => {
      const mac = config.subarray(0, net.ETH_ALEN);
      const sent = 'read the MAC address';
      expectThat(
        mac.some((octet) => octet !== 0),
        { sent, came: '00:00:00:00:00:00', expected: 'an address' },
      );
    },
  },
  {
    name: 'net-receive-data',
    clause: '5.1.6.4',
    rule: 'Packets of every length up to the MTU arrive as they were sent, with their used length.',
    requires: type,
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      for (const [index, length] of [60, 61, 64, 127, 128, 1000, 1513, 1514].entries()) {
        const frame = packets.broadcast(length, index);
        const { frame: came, written } = packets.echo(frame);
        expectEqual(`send ${length} bytes: the used length of the received packet`, written, length + net.HEADER_SIZE);
        expectBytes(`send ${length} bytes`, came, frame);
      }
    },
  },
  {
    name: 'net-receive-num-buffers',
    clause: '5.1.6.4.1',
    rule: 'Without MRG_RXBUF, num_buffers of a received packet is 1.',
    requires: type,
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      const { header } = packets.echo(packets.broadcast(64));
      expectEqual('send a packet: num_buffers of the received one', buffersOf(header), 1);
    },
  },
  {
    name: 'net-receive-flags',
    clause: '5.1.6.4.1',
    rule: 'Without GUEST_CSUM and offloads, the flags and gso_type of a received packet are 0.',
    requires: type,
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      // Bits that no driver has negotiated, and that the device has to ignore.
      const header = Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
      const received = packets.echo(packets.broadcast(64), header);
      expectEqual('send a packet with unknown flags: flags of the received one', received.header[0] ?? 0, 0);
      expectEqual('send a packet with unknown flags: gso_type of the received one', received.header[1] ?? 0, 0);
    },
  },
  {
    name: 'net-receive-own-address',
    clause: '5.1.6.5.2.1',
    rule: 'A device receives what is for its own address.',
    requires: { type: 'net', features: ['MAC'] },
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      packets.requireLoopback();
      const sent = 'send a packet to the own address';
      expectEqual(`${sent}: it arrives`, packets.comesBack(packets.frame(packets.mac, 64)), true);
    },
  },
  {
    name: 'net-receive-filter',
    clause: '5.1.6.5.2.1',
    rule: 'A device that drops what is for other addresses compares all octets.',
    requires: { type: 'net', features: ['MAC'] },
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      packets.requireLoopback();
      if (packets.comesBack(packets.frame(STRANGER, 64))) {
        throw new NotApplicable('the device receives packets for any address');
      }
      for (const octet of [0, 3, 5]) {
        const other = packets.mac.map((byte, index) => (index === octet ? byte ^ 0x04 : byte));
        const sent = `send a packet to an address that differs in octet ${octet}`;
        expectEqual(`${sent}: it arrives`, packets.comesBack(packets.frame(other, 64)), false);
      }
    },
  },
  {
    name: 'net-receive-order',
    clause: '5.1.6.4',
    rule: 'Packets arrive in the order in which they were sent.',
    requires: type,
    run: (context) => {
      context.start();
      const packets = new Packets(context);
      packets.requireLoopback();
      const frames = Array.from({ length: 8 }, (_, index) => packets.broadcast(100 + index, index));
      for (const frame of frames) packets.send(frame);
      for (const [index, frame] of frames.entries()) {
        const received = packets.receive();
        expectThat(received !== undefined, { sent: 'send 8 packets', came: `${index} packets`, expected: '8' });
        if (received) expectBytes(`send 8 packets: number ${index}`, received.frame, frame);
      }
    },
  },
];
