import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transportNames, chosenTransport, openTransport } from '../../src/netlink/transports/index.js';
import { NETLINK_GENERIC } from '../../src/netlink/constants.js';
import { NetlinkTransportError } from '../../src/netlink/error.js';
import { transportContract } from './transports.contract.js';
import { koffiContract } from './koffi.contract.js';

for (const name of transportNames) await transportContract(name);
await koffiContract();

void test('koffi is the default transport', () => {
  assert.equal(chosenTransport({}), 'koffi');
  assert.equal(chosenTransport({ VDPA_NETLINK_TRANSPORT: '' }), 'koffi');
});

void test('an unknown transport is rejected, and the known ones are named', () => {
  assert.throws(
    () => chosenTransport({ VDPA_NETLINK_TRANSPORT: 'libmnl' }),
    (error) => {
      assert.ok(error instanceof NetlinkTransportError);
      assert.equal(error.message, 'Invalid VDPA_NETLINK_TRANSPORT "libmnl": expected koffi or node-netlink');
      return true;
    },
  );
});

void test('node-netlink rejects groups, which it cannot join', async () => {
  await assert.rejects(
    openTransport({ protocol: NETLINK_GENERIC, groups: [1] }, 'node-netlink'),
    NetlinkTransportError,
  );
});
