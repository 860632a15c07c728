import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeList, AttributeWriter } from '../../src/netlink/attribute.js';
import { littleEndian, viewOf } from '../../src/netlink/bytes.js';
import { NLM_F_DUMP_FILTERED, NLM_F_MULTI } from '../../src/netlink/constants.js';
import { NetlinkProtocolError } from '../../src/netlink/error.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import * as rt from '../../src/rtnetlink/constants.js';
import { readInterfaceUses } from '../../src/rtnetlink/interface-uses.js';
import { answer, concat, done, Peer } from '../support/peer.js';

const INDEX = 7;
const OTHER = 8;

interface Message {
  readonly type: number;
  readonly flags?: number;
  readonly payload: Uint8Array;
}

function address(
  family: number,
  prefix: number,
  bytes: readonly number[],
  { index = INDEX, scope = 0, type = rt.IFA_ADDRESS }: { index?: number; scope?: number; type?: number } = {},
): Message {
  const header = Uint8Array.of(family, prefix, 0, scope, 0, 0, 0, 0);
  viewOf(header).setUint32(4, index, littleEndian);
  return {
    type: rt.RTM_NEWADDR,
    payload: concat(header, new AttributeWriter().bytes(type, Uint8Array.from(bytes)).finish()),
  };
}

function route(
  family: number,
  prefix: number,
  attributes: AttributeWriter,
  { protocol = 3, type = rt.RTN_UNICAST, flags = 0 }: { protocol?: number; type?: number; flags?: number } = {},
): Message {
  const header = Uint8Array.of(family, prefix, 0, 0, 254, protocol, 0, type, 0, 0, 0, 0);
  return { type: rt.RTM_NEWROUTE, flags, payload: concat(header, attributes.finish()) };
}

const to = (...bytes: number[]): AttributeWriter => new AttributeWriter().bytes(rt.RTA_DST, Uint8Array.from(bytes));
const from = (attributes: AttributeWriter, index: number): AttributeWriter => attributes.u32(rt.RTA_OIF, index);

function hops(...indices: readonly number[]): Uint8Array {
  return concat(
    ...indices.map((index) => {
      const hop = new Uint8Array(8);
      viewOf(hop).setUint16(0, 8, littleEndian);
      viewOf(hop).setUint32(4, index, littleEndian);
      return hop;
    }),
  );
}

/** A kernel with these addresses and routes. */
function kernel(addresses: readonly Message[], routes: readonly Message[]): Peer {
  return new Peer((request) => {
    const isOfFamily = ({ payload }: Message): boolean => payload[0] === request.payload[0];
    const messages = request.type === rt.RTM_GETADDR ? addresses : routes.filter(isOfFamily);
    return [
      ...messages.map(({ type, flags = 0, payload }) => answer(request, { type, flags: NLM_F_MULTI | flags, payload })),
      done(request),
    ];
  });
}

const uses = (addresses: readonly Message[], routes: readonly Message[]): ReturnType<typeof readInterfaceUses> =>
  readInterfaceUses(INDEX, kernel(addresses, routes));

const V6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

test('addresses of the interface, in their usual notation, without link-local ones and those of others', async () => {
  const { addresses, routes } = await uses(
    [
      address(rt.AF_INET, 24, [192, 0, 2, 1], { type: rt.IFA_LOCAL }),
      address(rt.AF_INET, 24, [192, 0, 2, 2], { index: OTHER }),
      address(rt.AF_INET6, 64, V6),
      address(rt.AF_INET6, 64, [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], { scope: rt.RT_SCOPE_LINK }),
      address(rt.AF_INET, 32, [], { type: 3 }),
    ],
    [],
  );
  assert.deepEqual(addresses, ['192.0.2.1/24', '2001:db8::1/64']);
  assert.deepEqual(routes, []);
});

test('the address of this side of a point-to-point link', async () => {
  const peers = new AttributeWriter()
    .bytes(rt.IFA_ADDRESS, Uint8Array.of(10, 0, 0, 2))
    .bytes(rt.IFA_LOCAL, Uint8Array.of(10, 0, 0, 1))
    .finish();
  const header = address(rt.AF_INET, 32, []).payload.subarray(0, 8);
  const { addresses } = await uses([{ type: rt.RTM_NEWADDR, payload: concat(header, peers) }], []);
  assert.deepEqual(addresses, ['10.0.0.1/32']);
});

test('routes of the interface, by either family, without those of the kernel, of other types and of others', async () => {
  const { routes } = await uses(
    [],
    [
      route(rt.AF_INET, 0, from(new AttributeWriter(), INDEX)),
      route(rt.AF_INET, 24, from(to(198, 51, 100, 0), INDEX)),
      route(rt.AF_INET, 24, from(to(198, 51, 101, 0), OTHER)),
      route(rt.AF_INET, 24, from(to(192, 0, 2, 0), INDEX), { protocol: rt.RTPROT_KERNEL }),
      route(rt.AF_INET, 32, from(to(192, 0, 2, 1), INDEX), { type: 2 }),
      route(rt.AF_INET, 24, to(203, 0, 113, 0).bytes(rt.RTA_MULTIPATH, hops(OTHER, INDEX))),
      route(rt.AF_INET, 24, to(203, 0, 114, 0).bytes(rt.RTA_MULTIPATH, hops(OTHER))),
      // The kernel that filtered knows the interfaces of a nexthop object.
      route(rt.AF_INET, 24, to(203, 0, 115, 0), { flags: NLM_F_DUMP_FILTERED }),
      route(rt.AF_INET, 24, to(203, 0, 116, 0)),
      route(rt.AF_INET6, 128, from(to(...V6), INDEX)),
    ],
  );
  assert.deepEqual(routes, ['default', '198.51.100.0/24', '203.0.113.0/24', '203.0.115.0/24', '2001:db8::1/128']);
});

test('the requests name the interface, so that a kernel that filters sends no others; the socket is closed', async () => {
  const peer = kernel([], []);
  await readInterfaceUses(INDEX, peer);
  const asked = peer.requests.map(({ type, payload }) => [type, payload[0]]);
  assert.deepEqual(asked, [
    [rt.RTM_GETADDR, 0],
    [rt.RTM_GETROUTE, rt.AF_INET],
    [rt.RTM_GETROUTE, rt.AF_INET6],
  ]);
  const [addresses, ...routes] = peer.requests as [NetlinkMessage, ...NetlinkMessage[]];
  assert.equal(viewOf(addresses.payload).getUint32(4, littleEndian), INDEX);
  for (const { payload } of routes) assert.equal(AttributeList.parse(payload, 12).u32(rt.RTA_OIF), INDEX);
  assert.equal(peer.closed, 1);
});

const invalid: Record<string, [readonly Message[], readonly Message[]]> = {
  'an address message that ends in its header': [[{ type: rt.RTM_NEWADDR, payload: new Uint8Array(4) }], []],
  'a route message that ends in its header': [[], [{ type: rt.RTM_NEWROUTE, payload: Uint8Array.of(rt.AF_INET) }]],
  'an IPv4 address of five bytes': [[address(rt.AF_INET, 24, [1, 2, 3, 4, 5])], []],
  'an IPv6 address of four bytes': [[address(rt.AF_INET6, 24, [1, 2, 3, 4])], []],
  'an address of an unknown family': [[address(99, 24, [1, 2, 3, 4])], []],
  'a next hop without a length': [
    [],
    [route(rt.AF_INET, 24, to(203, 0, 113, 0).bytes(rt.RTA_MULTIPATH, new Uint8Array(8)))],
  ],
};
for (const [what, [addresses, routes]] of Object.entries(invalid)) {
  test(`${what} is an error, and the socket is closed`, async () => {
    const peer = kernel(addresses, routes);
    await assert.rejects(readInterfaceUses(INDEX, peer), NetlinkProtocolError);
    assert.equal(peer.closed, 1);
  });
}

test('messages of other types are ignored', async () => {
  const other = { type: 16, payload: new Uint8Array(2) };
  assert.deepEqual(await uses([other], [{ ...other, payload: Uint8Array.of(rt.AF_INET) }]), {
    addresses: [],
    routes: [],
  });
});
