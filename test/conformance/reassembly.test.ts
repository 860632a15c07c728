/** What a check of packets with many TCP segments accepts, and what it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withChecksum, wordSum } from '../../src/conformance/checks/net/checksum.js';
import { GSO_SIZE, Reassembly, segmentsHeader } from '../../src/conformance/checks/net/reassembly.js';
import {
  CWR,
  IPV4,
  IPV6,
  payloadOf,
  TCP_CHECKSUM,
  transportOf,
  type Flow,
} from '../../src/conformance/checks/net/tcp.js';
import { CheckFailure } from '../../src/conformance/finding.js';

const NONE = new Uint8Array(12);
const LENGTH = 3001;

const flowOf = (family: Flow['family'], flags = 0): Flow => ({
  family,
  source: Uint8Array.of(2, 0, 0, 0, 0, 1),
  destination: Uint8Array.of(2, 0, 0, 0, 0, 2),
  port: 20_001,
  flags,
});

const reassembly = (flow: Flow, allowed: { mayCombine?: boolean; mayBePartial?: boolean } = {}): Reassembly =>
  new Reassembly(flow, LENGTH, { features: [], mayCombine: true, mayBePartial: true, ...allowed });

/** A segment of a packet as hardware makes it, with whole checksums. */
function segment({ flow, frame }: Reassembly, from: number, to: number): Uint8Array {
  const part = Buffer.concat([frame.subarray(0, payloadOf(flow)), frame.subarray(payloadOf(flow)).subarray(from, to)]);
  const view = new DataView(part.buffer, part.byteOffset, part.length);
  const transport = transportOf(flow);
  const length = part.length - transport;
  if (flow.family === IPV4) {
    view.setUint16(16, length + 20);
    view.setUint16(24, 0);
    view.setUint16(24, ~wordSum(part.subarray(14, 34)) & 0xffff);
  } else {
    view.setUint16(18, length);
  }
  view.setUint32(transport + 4, from);
  if (from > 0) view.setUint8(transport + 13, view.getUint8(transport + 13) & ~CWR);
  const addresses = part.subarray(14 + flow.family.addresses, transport);
  view.setUint16(transport + TCP_CHECKSUM, wordSum(addresses, 6 + length));
  return withChecksum(part, transport, TCP_CHECKSUM);
}

for (const flow of [flowOf(IPV4), flowOf(IPV6), flowOf(IPV4, CWR)]) {
  const what = `${flow.family.name}, flags ${flow.flags}`;

  test(`${what}: the packet as it was sent`, () => {
    const packet = reassembly(flow);
    packet.add(segmentsHeader(flow), packet.frame);
    assert.ok(packet.isComplete);
  });

  test(`${what}: segments`, () => {
    const packet = reassembly(flow, { mayCombine: false, mayBePartial: false });
    for (let from = 0; from < LENGTH; from += GSO_SIZE) {
      assert.ok(!packet.isComplete);
      packet.add(NONE, segment(packet, from, from + GSO_SIZE));
    }
    assert.ok(packet.isComplete);
  });
}

/** What has to be found: a header and a frame of a packet. */
const faults: Record<string, (packet: Reassembly) => readonly [header: Uint8Array, frame: Uint8Array]> = {
  'a packet with 1500 bytes of payload, expected 1 to 1400': (packet) => [NONE, segment(packet, 0, 1500)],
  'payload from byte 1400 on, expected from byte 0 on': (packet) => [NONE, segment(packet, 1400, 2800)],
  'a wrong TCP checksum': (packet) => [NONE, packet.frame],
  'a wrong checksum of the IPv4 header': (packet) => [segmentsHeader(packet.flow), packet.frame.with(24, 0)],
  'a packet of 3040 bytes whose header says 3041': (packet) => [
    segmentsHeader(packet.flow),
    packet.frame.subarray(0, -1),
  ],
  'gso_type 4, expected NONE, 0, or 1': (packet) => [segmentsHeader(packet.flow).with(1, 4), packet.frame],
  'gso_size 1399, expected 1400': (packet) => [segmentsHeader(packet.flow).with(4, 1399 & 0xff), packet.frame],
  'csum_offset 15, expected': (packet) => [segmentsHeader(packet.flow).with(8, 15), packet.frame],
  'gso_type 1 without NEEDS_CSUM': (packet) => [
    segmentsHeader(packet.flow).with(0, 0),
    withChecksum(packet.frame, transportOf(packet.flow), TCP_CHECKSUM),
  ],
};

for (const [message, make] of Object.entries(faults)) {
  test(`fails: ${message}`, () => {
    const packet = reassembly(flowOf(IPV4));
    assert.throws(
      () => {
        packet.add(...make(packet));
      },
      (error) => error instanceof CheckFailure && error.message.includes(message),
    );
  });
}

test('what the driver has not accepted fails', () => {
  const flow = flowOf(IPV4);
  for (const [allowed, message] of [
    [{ mayCombine: false }, 'gso_type 1, expected NONE'],
    [{ mayBePartial: false }, 'NEEDS_CSUM, expected the whole checksum'],
  ] as const) {
    const packet = reassembly(flow, allowed);
    assert.throws(
      () => {
        packet.add(segmentsHeader(flow), packet.frame);
      },
      (error) => error instanceof CheckFailure && error.message.includes(message),
    );
  }
});

test('CWR in a later segment, and other payload, fail', () => {
  const packet = reassembly(flowOf(IPV4, CWR));
  packet.add(NONE, segment(packet, 0, GSO_SIZE));
  const second = segment(packet, GSO_SIZE, 2 * GSO_SIZE);
  const transport = transportOf(packet.flow);
  // With the checksum that it then has: RFC 1624.
  const changed = (at: number, value: number): Uint8Array => {
    const word = (bytes: Uint8Array): number => ((bytes[at & ~1] ?? 0) << 8) | (bytes[(at & ~1) + 1] ?? 0);
    const other = second.with(at, value);
    const view = new DataView(other.buffer);
    const sum = wordSum(new Uint8Array(), (~view.getUint16(transport + TCP_CHECKSUM) & 0xffff) + 0xffff - word(second));
    view.setUint16(transport + TCP_CHECKSUM, ~wordSum(new Uint8Array(), sum + word(other)) & 0xffff);
    return other;
  };
  assert.throws(() => {
    packet.add(NONE, changed(transport + 13, 0x90));
  }, /CWR 128 from byte 1400 on, expected CWR 0/);
  assert.throws(() => {
    packet.add(NONE, changed(payloadOf(packet.flow) + 10, 0));
  }, /payload from byte 1400 on/);
});
