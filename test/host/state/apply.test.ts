import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { applyChanges } from '../../../src/host/state/apply.js';
import type { Addition, Change } from '../../../src/host/state/change.js';
import { refuseInUse } from '../../../src/host/state/in-use.js';
import { NetlinkProtocolError } from '../../../src/netlink/error.js';
import type { NetlinkTransport } from '../../../src/netlink/transport.js';
import { SystemError } from '../../../src/sys/error.js';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { VdpaClient } from '../../../src/vdpa/client.js';
import { VDPA_CMD_DEV_CONFIG_GET } from '../../../src/vdpa/uapi.js';
import { RuntimeFolder } from '../../../src/vduse/daemon/runtime-folder.js';
import { withRuntimeFolder } from '../../support/runtime-base.js';
import { TestMachine } from '../../support/test-machine.js';
import { FakeMachine } from '../../sysfs/fake-machine.js';

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

/** Runs a task while foo0 is a VDUSE device whose server has died, and whose supervisor is about to start the next one. */
async function whileServerStarts(task: (bus: VdpaBus) => Promise<void>): Promise<void> {
  const { existsSync } = fs;
  const machine = new FakeMachine().vdpaDevice('foo0');
  await withRuntimeFolder('foo0', async () => {
    const { release } = RuntimeFolder.claim('foo0');
    fs.existsSync = (path) => path === '/dev/vduse/foo0' || existsSync(path);
    syncBuiltinESMExports();
    try {
      await task(new VdpaBus(machine.files));
    } finally {
      fs.existsSync = existsSync;
      syncBuiltinESMExports();
      release();
      machine.remove();
    }
  });
}

/** Changes of foo0, each of which waits for its server. */
function changesOf(bus: VdpaBus): Change[] {
  const onBus = bus.device('foo0');
  assert.ok(onBus);
  const device = { spec: { name: 'foo0', managementDevice: 'vduse' }, deviceId: undefined };
  const common = { name: 'foo0', actual: { device: { name: 'foo0', managementDevice: 'vduse', deviceId: 2 }, onBus } };
  return [
    { action: 'delete', ...common },
    { action: 'replace', ...common, device, differences: [] },
    { action: 'add', name: 'foo0', device, start: { how: 'running' } },
  ];
}

test('a signal ends the wait for a server that is being replaced; what waits for it is not started', async () => {
  await whileServerStarts(async (bus) => {
    for (const change of changesOf(bus)) {
      const client = await new TestMachine().client();
      await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' });
      const controller = new AbortController();
      const result = applyChanges(client, bus, [change, addition('foo1')], { signal: controller.signal });
      const start = performance.now();
      setTimeout(() => {
        controller.abort(new Error('enough'));
      }, 50);
      assert.deepEqual(await result, { done: [], left: [change, addition('foo1')] }, change.action);
      assert.ok(performance.now() - start < 5000, change.action);
      assert.deepEqual(
        (await client.devices()).map(({ name }) => name),
        ['foo0'],
      );
    }
  });
});

test('a signal ends it while a plan is checked, too', async () => {
  await whileServerStarts(async (bus) => {
    const controller = new AbortController();
    const checked = refuseInUse(bus, { changes: changesOf(bus), refusals: [] }, controller.signal);
    const reason = new Error('enough');
    setTimeout(() => {
      controller.abort(reason);
    }, 50);
    await assert.rejects(checked, (error) => error === reason);
  });
});
