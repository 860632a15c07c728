import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyChanges } from '../../../src/host/state/apply.js';
import type { Addition } from '../../../src/host/state/change.js';
import { NetlinkProtocolError } from '../../../src/netlink/error.js';
import type { NetlinkTransport } from '../../../src/netlink/transport.js';
import { SystemError } from '../../../src/sys/error.js';
import { VdpaClient } from '../../../src/vdpa/client.js';
import { VDPA_CMD_DEV_CONFIG_GET } from '../../../src/vdpa/uapi.js';
import { TestMachine } from '../../support/test-machine.js';

const addition = (name: string): Addition => ({
  action: 'add',
  name,
  device: { spec: { name, managementDevice: 'vdpasim_net' }, deviceId: undefined },
});

/** Of a datagram: the command in the genlmsghdr after the nlmsghdr. */
const commandOf = (datagram: Uint8Array): number | undefined => datagram[16];

/** A socket on which the answers to a command are damaged. */
function damaging(transport: NetlinkTransport, command: number): NetlinkTransport {
  let isDamaged = false;
  return {
    port: transport.port,
    send: (datagram) => {
      isDamaged = commandOf(datagram) === command;
      return transport.send(datagram);
    },
    receive: async (timeoutMs) => {
      const answer = await transport.receive(timeoutMs);
      if (isDamaged) throw new NetlinkProtocolError('a damaged answer');
      return answer;
    },
    close: () => transport.close(),
  };
}

test('a new device that can neither be checked nor deleted: both errors are reported, of whatever kind', async () => {
  const machine = new TestMachine({}, [{ command: 'dev del', errno: 'EBUSY' }]);
  const client = await VdpaClient.open({ transport: damaging(machine.openTransport(), VDPA_CMD_DEV_CONFIG_GET) });
  const { failed } = await applyChanges(client, undefined, [addition('foo0')]);
  const error = failed?.error;
  assert.ok(error instanceof SystemError);
  assert.match(error.message, /^add foo0: .*a damaged answer\. Deleting it also failed: .*\(EBUSY\)/);
  assert.ok(error.cause instanceof NetlinkProtocolError);
});
