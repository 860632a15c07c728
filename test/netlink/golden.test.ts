import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { decodeError } from '../../src/netlink/acknowledgement.js';
import type { AttributeList } from '../../src/netlink/attribute.js';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { littleEndian } from '../../src/netlink/bytes.js';
import { NLMSG_ERROR } from '../../src/netlink/constants.js';
import { NetlinkError } from '../../src/netlink/error.js';
import { GenlSocket, decodeGenl } from '../../src/netlink/genl.js';
import type { GenlFamily } from '../../src/netlink/genl-family.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import { goldenNames, isFamilyMessage, readGolden, replay, requestsOf, withCleanPadding } from '../golden/exchange.js';
import { concat, hex } from '../support/peer.js';

// Real exchanges between iproute2's vdpa and a kernel. test/golden/record.ts explains how they were recorded.
const skip = !littleEndian && 'the recordings are those of a little-endian machine';

/** The vdpa family of the recorded kernel. */
const vdpa: GenlFamily = {
  id: 19,
  name: 'vdpa',
  version: 1,
  headerSize: 0,
  maxAttribute: 37,
  operations: [
    { command: 2, flags: 14 },
    { command: 3, flags: 11 },
    { command: 4, flags: 11 },
    { command: 5, flags: 14 },
    { command: 6, flags: 14 },
    { command: 7, flags: 11 },
    { command: 8, flags: 11 },
  ],
  multicastGroups: [],
};

describe('recorded exchanges', { skip }, () => {
  for (const name of goldenNames()) {
    const golden = readGolden(name);

    it(`${name}: every datagram of the kernel is re-encoded identically`, () => {
      for (const { from, hex: digits } of golden.datagrams) {
        const messages = decodeMessages(hex(digits));
        assert.deepEqual(concat(...messages.map(encodeMessage)), hex(digits));
        if (from !== 'kernel') continue;
        for (const message of messages.filter(isFamilyMessage)) {
          assert.deepEqual(withCleanPadding(message.payload), message.payload);
        }
      }
    });

    it(`${name}: requests are encoded as the tool does`, async () => {
      const peer = replay(golden);
      const socket = await GenlSocket.open(peer);
      const family = await socket.family('vdpa');
      assert.deepEqual(family, vdpa);
      const [, request] = requestsOf(golden);
      assert.ok(request !== undefined);
      const { command } = decodeGenl(request);
      const dump = (request.flags & 0x300) !== 0;
      const result = await socket
        .gather(family, { command, dump, attributes: request.payload.subarray(4) })
        .catch((error: unknown) => error);
      assert.equal(result instanceof NetlinkError, golden.status === 1);
      assert.deepEqual(
        peer.requests.map(({ type, flags, payload }) => ({ type, flags, payload })),
        requestsOf(golden).map(({ type, flags, payload }) => ({ type, flags, payload })),
      );
    });
  }
});

/** The result of the exchange after the family lookup. */
async function lastAnswers(name: string): Promise<AttributeList[]> {
  const golden = readGolden(name);
  const request = requestsOf(golden)[1];
  assert.ok(request !== undefined);
  const socket = await GenlSocket.open(replay(golden));
  const family = await socket.family('vdpa');
  const dump = (request.flags & 0x300) !== 0;
  const messages = await socket.gather(family, { command: decodeGenl(request).command, dump });
  return messages.map(({ attributes }) => attributes);
}

void test('the devices of a recorded dump', { skip }, async () => {
  const devices = await lastAnswers('dev-show');
  assert.deepEqual(
    devices.map((list) => [
      list.string(2),
      list.string(4),
      list.u32(5),
      list.u32(6),
      list.u32(7),
      list.u16(8),
      list.u16(9),
    ]),
    ['foo0', 'foo1'].map((name) => ['vdpasim_net', name, 1, 0, 3, 256, 1]),
  );
});

void test('a recorded empty dump', { skip }, async () => {
  assert.deepEqual(await lastAnswers('dev-show-none'), []);
});

void test('attributes of a recorded answer, including repeated types', { skip }, async () => {
  const [stats] = await lastAnswers('dev-vstats-show');
  assert.ok(stats !== undefined);
  assert.deepEqual(
    stats.all(18).map(({ payload }) => Buffer.from(payload).toString()),
    ['rx packets\0', 'rx bytes\0', 'rx errors\0', 'rx overruns\0', 'rx drops\0'],
  );
  assert.equal(stats.all(19).length, 5);
  assert.equal(stats.u64(19), 0n);
});

void test('a recorded error', { skip }, () => {
  const answer = readGolden('dev-del-missing').datagrams.at(-1);
  const [message] = decodeMessages(hex(answer?.hex ?? ''));
  assert.equal(message?.type, NLMSG_ERROR);
  assert.deepEqual(decodeError(message), { errno: 19, extended: { kernelMessage: 'vdpa: device not found' } });
});

void test('a recorded request, byte for byte', { skip }, () => {
  const [, request] = requestsOf(readGolden('dev-add'));
  assert.deepEqual(request, {
    type: vdpa.id,
    flags: 5,
    seq: request?.seq,
    port: 0,
    payload: concat(
      hex('03 01 0000'),
      new AttributeWriter().string(2, 'vdpasim_net').string(4, 'foo0').bytes(10, hex('020000000001')).finish(),
    ),
  });
});
