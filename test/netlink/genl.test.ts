import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from '../../src/netlink/constants.js';
import { Errno } from '../../src/sys/errno.js';
import { GenlFamilyNotFoundError, NetlinkError, NetlinkProtocolError } from '../../src/netlink/error.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_HDRSIZE,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_ATTR_OPS,
  CTRL_ATTR_OP_FLAGS,
  CTRL_ATTR_OP_ID,
  CTRL_ATTR_VERSION,
  CTRL_CMD_NEWFAMILY,
} from '../../src/netlink/genl-constants.js';
import { GenlSocket, decodeGenl, encodeGenl } from '../../src/netlink/genl.js';
import type { GenlFamily } from '../../src/netlink/genl-family.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import { Peer, acknowledgement, answer, concat, done, hex } from '../support/peer.js';
import type { Arrival } from '../support/peer.js';

const vdpa: GenlFamily = {
  id: 0x1c,
  name: 'vdpa',
  version: 1,
  headerSize: 0,
  maxAttribute: 61,
  operations: [
    { command: 1, flags: 0x0e },
    { command: 3, flags: 0x1b },
  ],
  multicastGroups: [{ name: 'events', id: 9 }],
};

function describeFamily(family: GenlFamily): Uint8Array {
  const attributes = new AttributeWriter()
    .string(CTRL_ATTR_FAMILY_NAME, family.name)
    .u16(CTRL_ATTR_FAMILY_ID, family.id)
    .u32(CTRL_ATTR_VERSION, family.version)
    .u32(CTRL_ATTR_HDRSIZE, family.headerSize)
    .u32(CTRL_ATTR_MAXATTR, family.maxAttribute)
    .nested(CTRL_ATTR_OPS, (list) => {
      for (const [index, { command, flags }] of family.operations.entries()) {
        list.nested(index + 1, (item) => item.u32(CTRL_ATTR_OP_ID, command).u32(CTRL_ATTR_OP_FLAGS, flags));
      }
    })
    .nested(CTRL_ATTR_MCAST_GROUPS, (list) => {
      for (const [index, { name, id }] of family.multicastGroups.entries()) {
        list.nested(index + 1, (item) => item.u32(CTRL_ATTR_MCAST_GRP_ID, id).string(CTRL_ATTR_MCAST_GRP_NAME, name));
      }
    })
    .finish();
  return concat(Uint8Array.of(CTRL_CMD_NEWFAMILY, 2, 0, 0), attributes);
}

async function open(
  answers: (request: NetlinkMessage) => Iterable<Arrival>,
): Promise<{ peer: Peer; socket: GenlSocket }> {
  const peer = new Peer(answers);
  return { peer, socket: await GenlSocket.open(peer) };
}

void test('a family is found by name, with its operations and groups', async () => {
  const { peer, socket } = await open((request) => [
    answer(request, { payload: describeFamily(vdpa) }),
    acknowledgement(request),
  ]);
  assert.deepEqual(await socket.family('vdpa'), vdpa);
  const [request] = peer.requests;
  assert.equal(request?.type, 0x10);
  assert.equal(request.flags, NLM_F_REQUEST | NLM_F_ACK);
  assert.deepEqual(request.payload, concat(hex('03 01 0000'), new AttributeWriter().string(2, 'vdpa').finish()));
});

void test('a family that does not exist has its own error', async () => {
  const { socket } = await open((request) => [acknowledgement(request, Errno.ENOENT)]);
  await assert.rejects(socket.family('vdpa'), (error) => {
    assert.ok(error instanceof GenlFamilyNotFoundError);
    assert.equal(error.family, 'vdpa');
    assert.equal(error.code, 'ENOENT');
    assert.match(error.message, /^find generic netlink family vdpa: No such file or directory/);
    return true;
  });
});

void test('another error while looking up a family is passed on', async () => {
  const { socket } = await open((request) => [acknowledgement(request, Errno.EINVAL)]);
  await assert.rejects(socket.family('x'.repeat(40)), (error) => {
    assert.ok(error instanceof NetlinkError && !(error instanceof GenlFamilyNotFoundError));
    return error.code === 'EINVAL';
  });
});

void test('a family without number or name, or a missing family, is rejected', async () => {
  const nameless = concat(hex('01 02 0000'), new AttributeWriter().u16(CTRL_ATTR_FAMILY_ID, 9).finish());
  const numberless = concat(hex('01 02 0000'), new AttributeWriter().string(CTRL_ATTR_FAMILY_NAME, 'x').finish());
  for (const payload of [nameless, numberless]) {
    const { socket } = await open((request) => [answer(request, { payload }), acknowledgement(request)]);
    await assert.rejects(socket.family('vdpa'), NetlinkProtocolError);
  }
  const { socket } = await open((request) => [acknowledgement(request)]);
  await assert.rejects(socket.family('vdpa'), /without returning a family/);
});

void test('all families are listed', async () => {
  const other = { ...vdpa, id: 0x1d, name: 'other', operations: [], multicastGroups: [] };
  const { peer, socket } = await open((request) => [
    concat(answer(request, { payload: describeFamily(vdpa) }), answer(request, { payload: describeFamily(other) })),
    done(request),
  ]);
  assert.deepEqual(await socket.families(), [vdpa, other]);
  assert.equal(peer.requests[0]?.flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP);
});

/** One message of a policy dump. */
function policyMessage(write: (writer: AttributeWriter) => AttributeWriter): Uint8Array {
  return concat(hex('0a 02 0000'), write(new AttributeWriter().u16(CTRL_ATTR_FAMILY_ID, vdpa.id)).finish());
}

function attributePolicy(index: number, type: number, write: (writer: AttributeWriter) => AttributeWriter): Uint8Array {
  return policyMessage((writer) =>
    writer.nested(8, (policy) => policy.nested(index, (list) => list.nested(type, write))),
  );
}

void test('a policy is assembled from its messages', async () => {
  const { socket } = await open((request) => [
    ...[
      policyMessage((w) => w.nested(9, (ops) => ops.nested(1, (op) => op.u32(1, 0).u32(2, 0)))),
      policyMessage((w) => w.nested(9, (ops) => ops.nested(3, (op) => op.u32(1, 1)))),
      attributePolicy(0, 1, (w) => w.u32(7, 16).u32(1, 12)),
      attributePolicy(0, 2, (w) => w.u64(4, 68n).flag(11).u64(5, 0xffffn).u32(1, 3)),
      attributePolicy(0, 3, (w) => w.u64(12, 5n).u32(1, 5)),
      attributePolicy(0, 4, (w) => w.u64(2, 0xffff_ffff_ffff_ffffn).u64(3, 7n).u32(1, 7)),
      attributePolicy(0, 5, (w) => w.u32(8, 1).u32(9, 4).u32(1, 13)),
      attributePolicy(0, 6, (w) => w.u32(1, 14)),
      attributePolicy(0, 7, (w) => w.u32(10, 6).u32(1, 15)),
      attributePolicy(0, 8, (w) => w.u32(1, 1)),
      attributePolicy(1, 9, (w) => w.u32(6, 6).u32(7, 6).u32(1, 10)),
      attributePolicy(1, 10, (w) => w.u32(1, 99)),
    ].map((payload) => answer(request, { payload })),
    done(request),
  ]);
  assert.deepEqual(await socket.policy(vdpa), {
    operations: new Map([
      [1, { do: 0, dump: 0 }],
      [3, { do: 1 }],
    ]),
    policies: new Map([
      [
        0,
        new Map<number, object>([
          [1, { kind: 'nul-string', maxLength: 16 }],
          [2, { kind: 'u16', min: 68n, max: 65535n }],
          [3, { kind: 'u64', mask: 5n }],
          [4, { kind: 's16', min: -1n, max: 7n }],
          [5, { kind: 'nested', policy: 1, maxType: 4 }],
          [6, { kind: 'nested-array' }],
          [7, { kind: 'bitfield32', mask: 6 }],
          [8, { kind: 'flag' }],
        ]),
      ],
      [
        1,
        new Map<number, object>([
          [9, { kind: 'binary', minLength: 6, maxLength: 6 }],
          [10, { kind: 'unknown', type: 99 }],
        ]),
      ],
    ]),
  });
});

void test('a family without a policy has an empty one, and a policy without a type is rejected', async () => {
  const { socket } = await open((request) => [done(request, Errno.ENODATA)]);
  assert.deepEqual(await socket.policy(vdpa), { operations: new Map(), policies: new Map() });
  const broken = await open((request) => [
    answer(request, { payload: attributePolicy(0, 1, (w) => w) }),
    done(request),
  ]);
  await assert.rejects(broken.socket.policy(vdpa), NetlinkProtocolError);
  const refused = await open((request) => [acknowledgement(request, Errno.EOPNOTSUPP)]);
  await assert.rejects(
    refused.socket.policy(vdpa),
    (error) => error instanceof NetlinkError && error.code === 'EOPNOTSUPP',
  );
});

void test("a family's own header is written as zeros and skipped", () => {
  const family = { ...vdpa, headerSize: 6 };
  const attributes = new AttributeWriter().u8(1, 7).finish();
  const payload = encodeGenl(family, { command: 5, attributes });
  assert.deepEqual(payload, concat(hex('05 01 0000'), new Uint8Array(8), attributes));
  const message = { type: family.id, flags: 0, seq: 1, port: 1, payload };
  const decoded = decodeGenl(message, family.headerSize);
  assert.deepEqual([decoded.command, decoded.version, decoded.attributes.u8(1)], [5, 1, 7]);
  assert.throws(
    () => decodeGenl({ ...message, payload: payload.subarray(0, 11) }, family.headerSize),
    NetlinkProtocolError,
  );
});

void test('an answer from another family is rejected', async () => {
  const { socket } = await open((request) => [
    answer(request, { type: vdpa.id + 1, payload: hex('01 01 0000') }),
    acknowledgement(request),
  ]);
  await assert.rejects(socket.gather(vdpa, { command: 1 }), /message type 29, not 28 \(vdpa\)/);
});

void test('answers arrive one by one, and an interrupted dump starts over', async () => {
  let attempt = 0;
  const { peer, socket } = await open((request) => [
    answer(request, { flags: attempt++ === 0 ? 0x10 : 0, payload: hex('02 01 0000 0800 0100 07000000') }),
    done(request),
  ]);
  const numbers: (number | undefined)[] = [];
  await socket.execute(vdpa, { command: 1, dump: true }, ({ attributes }) => numbers.push(attributes.u32(1)), {
    onRestart: () => numbers.push(-1),
  });
  assert.deepEqual(numbers, [-1, 7]);
  assert.equal((await socket.gather(vdpa, { command: 1, dump: true })).length, 1);
  await socket.close();
  assert.equal(peer.closed, 1);
});
