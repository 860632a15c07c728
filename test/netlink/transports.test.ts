import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindingNames, chosenBinding, openTransport } from '../../src/netlink/transports/index.js';
import { NETLINK_GENERIC } from '../../src/netlink/constants.js';
import { NetlinkBindingError } from '../../src/netlink/error.js';
import { bindingContract } from './transports.contract.js';
import { koffiContract } from './koffi.contract.js';

for (const name of bindingNames) await bindingContract(name);
await koffiContract();

void test('koffi is the binding where none is chosen', () => {
  assert.equal(chosenBinding({}), 'koffi');
  assert.equal(chosenBinding({ VDPA_NETLINK_BINDING: '' }), 'koffi');
});

void test('an unknown binding is refused, and the known ones are named', () => {
  assert.throws(
    () => chosenBinding({ VDPA_NETLINK_BINDING: 'libmnl' }),
    (error) => {
      assert.ok(error instanceof NetlinkBindingError);
      assert.equal(error.message, 'VDPA_NETLINK_BINDING is "libmnl"; known bindings are koffi and node-netlink');
      return true;
    },
  );
});

void test('node-netlink refuses groups, which it cannot join', async () => {
  await assert.rejects(openTransport({ protocol: NETLINK_GENERIC, groups: [1] }, 'node-netlink'), NetlinkBindingError);
});
